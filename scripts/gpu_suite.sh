#!/usr/bin/env bash
# What a GPU is needed for, unattended, in stretches of a few minutes.
#
#   scripts/gpu_suite.sh DATA_ROOT OUT_DIR [MINUTES] [key=value ...]
#   scripts/gpu_suite.sh wheels DIR
#
# DATA_ROOT holds imagenette2-160/; OUT_DIR takes records, probes, tables, figures, bench/, suite/
# (logs, marks) and pack/ (all of these in files of at most 16 MiB: cat OUT_DIR/pack/* | tar xz).
# The call ends within MINUTES (9), in order of worth: a smoke test, ResNet18's missing results, a
# short benchmark, tests/cuda, probes, cnn4's results, reports. Type the same again for the rest:
# what passed, or failed by itself, is not done again, and what was cut off goes on where it was
# (to have something done again, remove its mark, OUT_DIR/suite/NAME.done or NAME.failed).
# Further arguments are settings of `normbench run` and `normbench probe`.
#
# A machine that has torch, torchvision, numpy, pandas, scipy and matplotlib, and from which nothing
# can be reached, needs some 20 packages more: `wheels` collects them, 5 MB, in a folder, wherever
# they can be had, and SUITE_WHEELS tells where that folder is.
#
# Environment: PYTHON (default python3), SUITE_DEVICE (cuda), SUITE_WHEELS, and SUITE_BENCH for
# settings of `normbench bench`, such as "data=synthetic".
# Exit code: 0 when all is done, 1 when something is left or failed, 2 for wrong input.
set -u

usage() {
    sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
python=${PYTHON:-python3}
project=$(cd "$(dirname "$0")/.." && pwd)
if [ "$1" = wheels ]; then
    # what the project needs, what that needs, and what runs the tests
    needed=$("$python" - "$project/pyproject.toml" <<'PYTHON'
import re, sys, tomllib
from pathlib import Path

there = {"torch", "torchvision", "numpy", "pandas", "scipy", "matplotlib", "pillow", "jinja2"}
needed = tomllib.loads(Path(sys.argv[1]).read_text())["project"]["dependencies"]
print(*(d for d in needed if re.match(r"[\w-]+", d).group() not in there))
PYTHON
    ) || exit 2
    read -ra needed <<<"$needed"
    exec "$python" -m pip wheel --quiet --no-deps --wheel-dir "$2" "${needed[@]}" mdurl PyYAML \
        "antlr4-python3-runtime==4.9.*" pytest pytest-xdist execnet iniconfig pluggy pygments
fi
wheels=${SUITE_WHEELS:+$(realpath "$SUITE_WHEELS")}
[ -d "$1" ] || { echo "gpu_suite: DATA_ROOT=$1 is no folder" >&2; exit 2; }
mkdir -p "$2/suite" "$2/pack" || { echo "gpu_suite: cannot write to OUT_DIR=$2" >&2; exit 2; }
data_root=$(cd "$1" && pwd)
out_dir=$(cd "$2" && pwd)
shift 2
minutes=9
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    minutes=$1
    shift
fi

device=${SUITE_DEVICE:-cuda}
suite=$out_dir/suite
spare=20 # seconds at the end, to pack and to tell
deadline=$((minutes * 60 - spare))
cd "$project" || exit 2
export PYTHONUNBUFFERED=1

if [ -n "$wheels" ]; then
    rm -rf "$suite/packages"
    for wheel in "$wheels"/*.whl; do
        "$python" -m zipfile -e "$wheel" "$suite/packages" 2>/dev/null ||
            { echo "gpu_suite: SUITE_WHEELS=$wheels: $wheel is no wheel" >&2; exit 2; }
    done
    export PYTHONPATH=$suite/packages${PYTHONPATH:+:$PYTHONPATH}
fi
"$python" - "$device" <<'PYTHON' || exit 2
import importlib, sys

names = "torch torchvision numpy pandas scipy matplotlib PIL jinja2 cloudpickle hydra markdown_it "
names += "omegaconf platformdirs safetensors tabulate tqdm pytest xdist"
missing = []
for name in [*names.split(), "normbench.cli", "normbench.job"]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing.append(f"{name} ({error})")
if missing:
    sys.exit("gpu_suite: cannot import " + ", ".join(missing) + "; SUITE_WHEELS brings what lacks")
import torch

if sys.argv[1] == "cuda" and not torch.cuda.is_available():
    sys.exit("gpu_suite: torch sees no CUDA device; SUITE_DEVICE=cpu tries the rest")
PYTHON

normbench=("$python" -m normbench)
read -ra bench_settings <<<"${SUITE_BENCH:-}"
settings=("device=$device" "data.root=$data_root" "results.dir=$out_dir")
names=()

records() { find "$out_dir/records" "$out_dir/probes" -type f 2>/dev/null | wc -l; }

# All that was made so far, in files that can be carried away one by one.
pack() {
    rm -rf "$out_dir/pack.new" && mkdir "$out_dir/pack.new" # whole, whenever this is killed
    tar -C "$out_dir" --exclude='./pack*' --exclude=./suite/packages -cf - . | gzip -1 |
        split -b 16M -d - "$out_dir/pack.new/pack.tar.gz."
    rm -rf "$out_dir/pack" && mv "$out_dir/pack.new" "$out_dir/pack"
    packed=$SECONDS
}
packed=-99

# stage NAME LEAST MOST COMMAND...: if LEAST seconds are left, run a command until it ends, MOST
# seconds have passed, or the deadline
stage() {
    local name=$1 least=$2 most=$3 code=0 before left start=$SECONDS
    shift 3
    names+=("$name")
    [ -e "$suite/$name.done" ] || [ -e "$suite/$name.failed" ] && return
    left=$((deadline - SECONDS))
    [ "$left" -ge "$least" ] || return
    before=$(records)
    echo "== $name, $((left < most ? left : most)) s at most: $*"
    timeout --foreground -s INT -k 8 $((left < most ? left : most)) "$@" >"$suite/$name.log" 2>&1 ||
        code=$?
    tail -n 2 "$suite/$name.log"
    case $code in
        0 | 5) # 5: pytest has no test left
            echo "in $((SECONDS - start)) s" >"$suite/$name.done" ;;
        130) interrupted=1 ;;
        124 | 137) [ "$left" -le "$most" ] || echo "took over $most s" >"$suite/$name.failed" ;;
        *) # what brought something before it failed is worth another try
            [ "$(records)" -gt "$before" ] || echo "exit code $code" >"$suite/$name.failed" ;;
    esac
    [ $((SECONDS - packed)) -lt 60 ] || pack # now and then, as this may be killed
    [ -z "${interrupted:-}" ] || finish
}

# Note which tests have ended, so that the next call leaves them out; those cut off twice as well.
note_tests() {
    [ -e "$suite/tests.log" ] && awk '
        /^tests\/cuda\/.*::/ { name = $1; outcome = $2
            print name, (outcome ~ /PASSED|FAILED|ERROR|SKIPPED/ ? outcome : "CUT") }
    ' "$suite/tests.log" >>"$suite/tests.outcomes" && mv "$suite/tests.log" "$suite/tests.last"
    touch "$suite/tests.outcomes"
    awk '{ if ($2 == "SKIPPED" || $2 == "CUT" && !cut[$1]++) next; print "--deselect=" $1 }' \
        "$suite/tests.outcomes" | sort -u >"$suite/tests.skip"
}

told() { # NAME: what became of a stage
    if [ -e "$suite/$1.done" ]; then echo "done $(cat "$suite/$1.done")"
    elif [ -e "$suite/$1.failed" ]; then echo "FAILED, $(cat "$suite/$1.failed"): $suite/$1.log"
    else echo "left"; fi
}

# In ten lines, what a reader wants to know first.
finish() {
    local name left=0 probes="" outcomes
    pack
    echo "== gpu_suite: $SECONDS s of $((minutes * 60))"
    for name in "${names[@]}"; do
        [ -e "$suite/$name.done" ] || left=1
        case $name in
            probe-*) probes+="${name#probe-} $(told "$name" | sed 's/[ ,].*//'), " ;;
            tests) ;;
            *) echo "$name: $(told "$name")" ;;
        esac
    done
    outcomes=$(awk '{ last[$1] = $2 } END { for (t in last) n[last[t]]++
        for (o in n) printf "%d %s ", n[o], o }' "$suite/tests.outcomes" 2>/dev/null)
    [[ $outcomes != *FAILED* && $outcomes != *ERROR* ]] || left=1
    echo "tests: $(told tests) ${outcomes:+($outcomes)}"
    echo "probes: ${probes%, }"
    echo "records and probes: $(records) files in $out_dir"
    echo "pack: $(find "$out_dir/pack" -type f | wc -l) files, $(du -sh "$out_dir/pack" | cut -f1)"
    exit "$left"
}

tiny=(data=synthetic data.source.train_size=256 data.source.val_size=64 train.epochs=1
    "grid.batch_size=[128,2]" "grid.lr=[0.001]" "grid.seeds=[0,1]")
stage smoke 30 60 "${normbench[@]}" run model=resnet18 "${tiny[@]}" "device=$device" \
    "results.dir=$suite/smoke"
stage results-resnet18 15 99999 \
    "${normbench[@]}" run -m experiment=article model=resnet18 "${settings[@]}" "$@"
stage bench 90 180 "${normbench[@]}" bench bench.short=true "${settings[@]}" "${bench_settings[@]}"
note_tests
stage tests 15 99999 "$python" -m pytest -n 0 -m "" -v -p no:cacheprovider "@$suite/tests.skip" \
    tests/cuda
note_tests
for probe in gradients activations step_size landscape covariate_shift learning_rate_range \
    ablation noisy_batchnorm overhead hessian; do
    stage "probe-$probe" 15 99999 \
        "${normbench[@]}" probe "probe=$probe" model=resnet18 "${settings[@]}" "$@"
done
stage results-cnn4 15 99999 \
    "${normbench[@]}" run -m experiment=article model=cnn4 "${settings[@]}" "$@"
for report in compare claims figures; do # from whatever is there by now
    left=$((deadline - SECONDS))
    [ "$left" -lt 10 ] || timeout --foreground -s INT -k 5 "$left" "${normbench[@]}" "$report" \
        "results.dir=$out_dir" >"$suite/$report.log" 2>&1
done
finish
