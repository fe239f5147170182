// Figures against their targets, and the table they are shown in.

/**
 * One line of the result. `unit` says what `ours` and `reference` are; `target` is what `value` must not pass. The ratio is the
 * median of `ratios`, or else that of the two.
 * @typedef {{
 *   name: string,
 *   unit: string,
 *   ours: number,
 *   reference?: number,
 *   ratios?: number[],
 *   target?: { of: "ratio" | "ours", atLeast?: number, atMost?: number },
 * }} Figure
 */

/** The value below which the given share of the values lies. */
export function percentile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export function ratio({ ours, reference, ratios }) {
  if (ratios !== undefined) return percentile(ratios, 0.5);
  return reference === undefined ? undefined : ours / reference;
}

/** Between which two values half of the ratios lie; empty without rounds. */
function spread({ ratios }) {
  if (ratios === undefined) return "";
  return [0.25, 0.75].map((share) => percentile(ratios, share).toFixed(2)).join("-");
}

/**
 * True, false, or undefined when there is no target. Of rounds it is missed when three out of four miss it: of two sides that
 * are equal, half do by chance.
 */
export function isMet(figure) {
  const { target, ratios } = figure;
  if (target === undefined) return undefined;
  const { atLeast = -Infinity, atMost = Infinity } = target;
  if (target.of === "ratio" && ratios !== undefined)
    return percentile(ratios, 0.75) >= atLeast && percentile(ratios, 0.25) <= atMost;
  const value = target.of === "ratio" ? ratio(figure) : figure.ours;
  return value >= atLeast && value <= atMost;
}

const columns = [
  { title: "", cell: ({ name }) => name },
  { title: "weave", number: true, cell: ({ ours }) => shown(ours) },
  {
    title: "reference",
    number: true,
    cell: ({ reference }) => (reference === undefined ? "" : shown(reference)),
  },
  { title: "", cell: ({ unit }) => unit },
  { title: "ratio", number: true, cell: (figure) => ratio(figure)?.toFixed(2) ?? "" },
  { title: "half within", number: true, onlyWith: "ratios", cell: spread },
  { title: "target", cell: describeTarget },
  { title: "", cell: (figure) => ({ true: "met", false: "MISSED", undefined: "" })[String(isMet(figure))] },
];

/** Lines of at most 100 columns. */
export function renderTable(figures) {
  const shownOnes = columns.filter(
    ({ onlyWith }) => onlyWith === undefined || figures.some((figure) => figure[onlyWith] !== undefined),
  );
  const padded = shownOnes.map(({ title, number, cell }) => {
    const cells = [title, ...figures.map(cell)];
    const width = Math.max(...cells.map(({ length }) => length));
    return cells.map((text) => (number ? text.padStart(width) : text.padEnd(width)));
  });
  return [undefined, ...figures].map((_, line) =>
    padded
      .map((cells) => cells[line])
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
