#!/usr/bin/env bash
# Everything that needs a GPU, unattended: tests, benchmarks, missing results of the article, probes.
#
#   scripts/gpu_suite.sh DATA_ROOT OUT_DIR [key=value ...]
#
# DATA_ROOT holds imagenette2-160/; OUT_DIR takes records, probes, tables, reports, figures, bench/ and
# suite/ (logs, marks). Further arguments are settings of `normbench run` and `normbench probe`.
#
# Each stage ends within 10 minutes. Type the same again after an interruption or a timeout: stages
# that are done are skipped, and the results stage trains what is missing. Remove OUT_DIR/suite to
# start over (records stay).
#
# Environment: PYTHON (default python3), SUITE_DEVICE (cuda), SUITE_SECONDS for a stage (590),
# SUITE_BENCH for settings of `normbench bench`, such as "bench.short=true data=synthetic".
# Exit code: 0 when every stage is done, 1 otherwise, 2 for wrong input.
set -u

usage() {
    sed -n '2,16s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
[ -d "$1" ] || { echo "gpu_suite: DATA_ROOT=$1 is no folder" >&2; exit 2; }
mkdir -p "$2/suite" || { echo "gpu_suite: cannot write to OUT_DIR=$2" >&2; exit 2; }
data_root=$(cd "$1" && pwd)
out_dir=$(cd "$2" && pwd)
shift 2

python=${PYTHON:-python3}
device=${SUITE_DEVICE:-cuda}
seconds=${SUITE_SECONDS:-590}
suite=$out_dir/suite
cd "$(dirname "$0")/.." || exit 2

normbench=("$python" -m normbench)
read -ra bench_settings <<<"${SUITE_BENCH:-}"
settings=("device=$device" "data.root=$data_root" "results.dir=$out_dir")
"${normbench[@]}" --version || { echo "gpu_suite: $python cannot run normbench" >&2; exit 2; }
if [ "$device" = cuda ]; then
    "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
        { echo "gpu_suite: torch sees no CUDA device; SUITE_DEVICE=cpu tries the rest" >&2; exit 2; }
fi

incomplete=0
status=()

# stage NAME COMMAND...: run a command unless it is done, keep its output, mark it when it succeeds
stage() {
    local name=$1 log=$suite/$1.log code=0 start=$SECONDS
    shift
    if [ -e "$suite/$name.done" ]; then
        status+=("$name: done before")
        return
    fi
    echo "== $name: $*"
    timeout --foreground -s INT -k 20 "$seconds" "$@" >"$log" 2>&1 || code=$?
    tail -n 3 "$log"
    if [ "$code" -eq 0 ]; then
        touch "$suite/$name.done"
        status+=("$name: done in $((SECONDS - start)) s")
        return
    fi
    incomplete=1
    case $code in
        124 | 137) status+=("$name: out of time after $seconds s, goes on next time") ;;
        130) status+=("$name: interrupted"); summary; exit 1 ;;
        *) status+=("$name: FAILED with exit code $code, see $log") ;;
    esac
}

# What a reader wants to know first.
summary() {
    local records=0 file
    for file in "$out_dir"/records/*.json; do
        [ -e "$file" ] && records=$((records + 1))
    done
    echo
    echo "== summary"
    printf '%s\n' "${status[@]}"
    [ -e "$suite/tests.log" ] && echo "tests: $(tail -n 1 "$suite/tests.log")"
    for file in "$suite"/bench-*.log; do
        [ -e "$file" ] && grep -H '^normbench trains' "$file" | sed 's|.*/bench-\(.*\)\.log:|\1: |'
    done
    echo "records: $records in $out_dir/records"
}

stage tests "$python" -m pytest -n 0 -m "" -q -p no:cacheprovider tests/cuda
for model in resnet18 cnn4; do
    stage "bench-$model" "${normbench[@]}" bench "model=$model" "${settings[@]}" \
        "${bench_settings[@]}"
done
for model in cnn4 resnet18; do
    stage "results-$model" \
        "${normbench[@]}" run -m experiment=article "model=$model" "${settings[@]}" "$@"
done
for probe in gradients activations ablation noisy_batchnorm landscape step_size covariate_shift \
    hessian learning_rate_range overhead; do
    stage "probe-$probe" \
        "${normbench[@]}" probe "probe=$probe" model=resnet18 "${settings[@]}" "$@"
done
for report in compare claims figures; do # from whatever is there by now
    "${normbench[@]}" "$report" "results.dir=$out_dir" >"$suite/$report.log" 2>&1 ||
        status+=("$report: $(tail -n 1 "$suite/$report.log")")
done

summary
exit "$incomplete"
