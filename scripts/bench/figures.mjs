// Figures against their targets, and the table they are shown in.

/**
 * One line of the result. `unit` says what `ours` and `reference` are; `target` is what `value` must not pass.
 * @typedef {{
 *   name: string,
 *   unit: string,
 *   ours: number,
 *   reference?: number,
 *   target?: { of: "ratio" | "ours", atLeast?: number, atMost?: number },
 * }} Figure
 */

/** The value below which the given share of the values lies. */
export function percentile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const ratio = ({ ours, reference }) => (reference === undefined ? undefined : ours / reference);

/** True, false, or undefined when there is no target. */
export function isMet(figure) {
  const { target } = figure;
  if (target === undefined) return undefined;
  const value = target.of === "ratio" ? ratio(figure) : figure.ours;
  return value >= (target.atLeast ?? -Infinity) && value <= (target.atMost ?? Infinity);
}

/** Lines of at most 100 columns. */
export function renderTable(figures) {
  const rows = figures.map((figure) => [
    figure.name,
    shown(figure.ours),
    figure.reference === undefined ? "" : shown(figure.reference),
    figure.unit,
    figure.reference === undefined ? "" : ratio(figure).toFixed(2),
    describeTarget(figure),
    { true: "met", false: "MISSED", undefined: "" }[String(isMet(figure))],
  ]);
  const header = ["", "weave", "reference", "", "ratio", "target", ""];
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column].length)),
  );
  const isNumber = [false, true, true, false, true, false, false];
  return [header, ...rows].map((row) =>
    row
      .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
      .join("  ")
      .trimEnd(),
  );
}

function describeTarget({ target, unit }) {
  if (target === undefined) return "";
  const bound = target.atLeast === undefined ? `<= ${target.atMost}` : `>= ${target.atLeast}`;
  return target.of === "ratio" ? `ratio ${bound}` : `${bound} ${unit}`.trimEnd();
}

/** Three significant digits. */
function shown(value) {
  if (value === 0 || Number.isInteger(value)) return String(value);
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
