// Columns that fit the terminal: as wide as their longest cell, and where that is too much, first the columns that may
// be cut become narrower, the widest first, then those that may be missing are left out, the last first.
import { MAX_COLUMNS } from "../context.ts";
import { plain, shorten, width } from "../text.ts";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Numbers stand to the right. */
  readonly right?: boolean;
  /** May be cut to this many characters; absent: never cut. */
  readonly least?: number;
  /** What stands there where it must be cut to this width; absent: the beginning of the cell. */
  readonly cut?: (row: Row, columns: number) => string;
  /** May be left out; --json has everything. */
  readonly optional?: boolean;
}

const GAP = "  ";

/** Lines joined by newlines: titles, then rows. `below` adds lines under a row. */
export function table<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  below: (row: Row) => string[] = () => [],
): string {
  const sized = layOut(
    columns.map((column) => {
      const cells = rows.map((row) => plain(column.cell(row)));
      return {
        column,
        cells,
        columns: cells.reduce((widest, cell) => Math.max(widest, width(cell)), width(column.title)),
      };
    }),
  );
  const line = (texts: readonly string[]): string =>
    sized
      .map(({ column, columns }, at) =>
        align(shorten(texts[at] ?? "", columns), columns, column.right ?? false),
      )
      .join(GAP)
      .trimEnd();
  const textOf = ({ column, columns, cells }: Sized<Row>, row: Row, at: number): string => {
    const cell = cells[at] ?? "";
    return width(cell) > columns && column.cut !== undefined ? plain(column.cut(row, columns)) : cell;
  };
  const body = rows.flatMap((row, at) => [line(sized.map((each) => textOf(each, row, at))), ...below(row)]);
  return [line(sized.map(({ column }) => column.title)), ...body].join("\n");
}

interface Sized<Row> {
  readonly column: Column<Row>;
  readonly cells: readonly string[];
  /** Width it gets. */
  readonly columns: number;
}

function layOut<Row>(natural: readonly Sized<Row>[]): readonly Sized<Row>[] {
  const sized = [...natural];
  while (total(sized) > MAX_COLUMNS) {
    const widest = sized.reduce(
      (best, each, at) => (spare(each) > 0 && each.columns > (sized[best]?.columns ?? 0) ? at : best),
      -1,
    );
    const each = sized[widest];
    if (each === undefined) {
      const last = natural.findLastIndex(({ column }) => column.optional);
      return last < 0 ? sized : layOut(natural.filter((_, at) => at !== last));
    }
    sized[widest] = { ...each, columns: each.columns - 1 };
  }
  return sized;
}

/** By how much it may still become narrower. */
function spare<Row>({ column, columns }: Sized<Row>): number {
  return columns - Math.max(column.least ?? columns, width(column.title));
}

function total<Row>(sized: readonly Sized<Row>[]): number {
  return sized.reduce((sum, { columns }) => sum + columns, GAP.length * (sized.length - 1));
}

function align(cell: string, columns: number, right: boolean): string {
  const padding = " ".repeat(Math.max(0, columns - width(cell)));
  return right ? padding + cell : cell + padding;
}
