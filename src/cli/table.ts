/** Text tables: columns two blanks apart, figures right-aligned, `-` for what is unknown. */

export interface Column<Row> {
  readonly title: string;
  readonly align?: "left" | "right";
  readonly value: (row: Row) => string | number | undefined;
}

export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  header: boolean,
): string {
  const cells = rows.map((row) => columns.map((column) => cellText(column.value(row))));
  const lines = header ? [columns.map((column) => column.title), ...cells] : cells;
  const widths = columns.map((_, i) => Math.max(0, ...lines.map((line) => (line[i] ?? "").length)));
  return lines.map((line) => `${renderLine(columns, line, widths)}\n`).join("");
}

function renderLine<Row>(
  columns: readonly Column<Row>[],
  line: readonly string[],
  widths: readonly number[],
): string {
  return line
    .map((cell, i) =>
      columns[i]?.align === "right" ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
    )
    .join("  ")
    .trimEnd();
}

/** `Title:  value` lines with aligned values. */
export function renderBlock(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(0, ...rows.map(([title]) => title.length)) + 1;
  return rows.map(([title, value]) => `${`${title}:`.padEnd(width)}  ${value}\n`).join("");
}

/** Control characters never reach the terminal: names come from other machines. */
function cellText(value: string | number | undefined): string {
  if (value === undefined || value === "") return "-";
  return printable(String(value));
}

export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to replace
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

/** `14.2 ms`, three digits that matter. */
export function millisText(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined;
  return ms >= 100
    ? `${Math.round(ms)} ms`
    : ms >= 10
      ? `${ms.toFixed(1)} ms`
      : `${ms.toFixed(2)} ms`;
}

/** Binary units: `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return unit === 0 ? `${value} B` : `${value.toFixed(1)} ${units[unit]}`;
}

export function percentText(fraction: number): string {
  return `${(100 * fraction).toFixed(fraction > 0 && fraction < 0.1 ? 1 : 0)}%`;
}
