// Numbers as they are read: a few digits, a real minus, powers of ten where they are far from one.
function shown(value, digits = 4) {
  if (value == null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size && (size < 1e-4 || size >= 1e7)) {
    const [figure, power] = value.toExponential(Math.max(0, digits - 2)).split("e");
    return `${minus(String(Number(figure)))} × 10${raised(Number(power))}`;
  }
  return minus(String(Number(value.toPrecision(digits))));
}

const minus = (text) => text.replace("-", "−");
const raised = (power) => String(power).replace(/./g, (c) => ({ "-": "⁻" })[c] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]);

// On an axis: as short as it gets.
function tick(value) {
  const size = Math.abs(value);
  if (size >= 1e4 || (size && size < 1e-3)) {
    const power = Math.floor(Math.log10(size) + 1e-9);
    const figure = Number((value / 10 ** power).toPrecision(3));
    return `${figure === 1 ? "" : `${minus(String(figure))}·`}10${raised(power)}`;
  }
  return minus(String(Number(value.toPrecision(6))));
}

// Ticks of a logarithmic axis: as few as tell its scale; within a factor of eight, those of a linear one.
function logTicks([low, high], most = 6) {
  if (high / low < 8) return d3.ticks(low, high, 4).filter((value) => value > 0);
  for (const within of [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 5], [1, 3], [1]]) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const n of within) {
        const value = Number(`${n}e${power}`);
        if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
      }
    }
    if (found.length <= most) return found;
    if (within.length === 1) return found.filter((_, i) => i % Math.ceil(found.length / most) === 0);
  }
  return [];
}
