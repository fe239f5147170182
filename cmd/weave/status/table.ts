// Columns that fit the terminal: as wide as their longest cell, and where that is too much, the columns that may
// shrink do, the widest first.
import { MAX_COLUMNS } from "../context.ts";
import { plain, shorten, width } from "../text.ts";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Numbers stand to the right. */
  readonly right?: boolean;
  /** May be cut to this many characters; absent: never cut. */
  readonly least?: number;
}

const GAP = "  ";

/** Lines joined by newlines: titles, then rows. `below` adds lines under a row. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  below: (row: Row) => string[] = () => [],
): string {
  const titles = columns.map(({ title }) => title);
  const lines = rows.map((row) => columns.map(({ cell }) => plain(cell(row))));
  const natural = columns.map((_, at) =>
    Math.max(...[titles, ...lines].map((cells) => width(cells[at] ?? ""))),
  );
  const widths = shrink(natural, columns);
  const format = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => align(shorten(cell, widths[at] ?? 0), widths[at] ?? 0, columns[at]?.right ?? false))
      .join(GAP)
      .trimEnd();
  const body = rows.flatMap((row, at) => [format(lines[at] ?? []), ...below(row)]);
  return [format(titles), ...body].join("\n");
}

function shrink<Row>(natural: readonly number[], columns: readonly Column<Row>[]): number[] {
  const widths = [...natural];
  const total = (): number => widths.reduce((sum, each) => sum + each, GAP.length * (widths.length - 1));
  while (total() > MAX_COLUMNS) {
    const spare = widths.map((each, at) => (each > (columns[at]?.least ?? each) ? each : 0));
    const widest = spare.indexOf(Math.max(...spare));
    if (spare[widest] === undefined || spare[widest] === 0) break; // nothing may shrink any further
    widths[widest] = spare[widest] - 1;
  }
  return widths;
}

function align(cell: string, columns: number, right: boolean): string {
  const padding = " ".repeat(Math.max(0, columns - width(cell)));
  return right ? padding + cell : cell + padding;
}
