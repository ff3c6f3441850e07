// A table of what was measured, each beside its budget.

export interface Row {
  what: string;
  value: number;
  unit: "kB" | "MB" | "s" | "ms" | "";
  /** The budget: no more than this. */
  most?: number;
  note?: string;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

const shown = (value: number) => (Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2));

export function print(title: string, rows: readonly Row[]): void {
  const cells = [["", "measured", "at most", ""], ...rows.map(({ what, value, unit, most, note }) => [what, `${shown(value)} ${unit}`.trim(), most === undefined ? "" : `${most} ${unit}`.trim(), [most === undefined ? "" : value <= most ? "kept" : "EXCEEDED", note ?? ""].filter(Boolean).join(", ")])];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  console.log(`\n${title}\n`);
  for (const row of cells) console.log(`  ${row.map((cell, column) => (column === 1 || column === 2 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join("  ")}`.trimEnd());
}
