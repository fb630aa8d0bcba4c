/** Documents in the rows of a Parquet file: a column of texts, or one of conversations. */
import { openParquet } from "../../encoding/parquet.ts";
import { openFile } from "../../files/disk.ts";
import { inFileAsync } from "../../files/errors.ts";
import { type CorpusDocument, isMessage } from "./corpus-document.ts";
import { badParquetRow, noTextColumn } from "./errors.ts";

/** Columns that hold conversations, as in JSON lines. */
const conversations = ["messages", "conversations"];

/** The documents of a file in the order of its rows, with what decides whether each is left out. Empty cells are no documents. */
export async function* readParquetDocuments(
  path: string,
  textField: string,
): AsyncGenerator<{ readonly document: CorpusDocument; readonly key: string }> {
  const file = openFile(path);
  const source = {
    byteLength: file.size,
    slice(from: number, to: number = file.size): ArrayBuffer {
      const bytes = new Uint8Array(Math.max(0, to - from));
      file.read(from, bytes);
      return bytes.buffer;
    },
  };
  try {
    const parquet = await inFileAsync(path, () => openParquet(source));
    const column = [textField, ...conversations].find((it) => parquet.columns.includes(it));
    if (column === undefined) throw noTextColumn(path, textField, parquet.columns);
    let row = 0;
    const groups = parquet.rowGroups([column]);
    for (;;) {
      const { done, value: rows } = await inFileAsync(path, () => groups.next());
      if (done === true) return;
      for (const { [column]: cell } of rows) {
        row++;
        if (cell === null || cell === undefined || cell === "") continue;
        if (typeof cell === "string") {
          yield { document: { text: cell, continues: false }, key: cell };
        } else if (Array.isArray(cell) && cell.every(isMessage)) {
          yield { document: { messages: cell }, key: JSON.stringify(cell) };
        } else throw badParquetRow(path, row, column);
      }
    }
  } finally {
    file.close();
  }
}
