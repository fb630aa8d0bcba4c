/** Rows of Parquet files, row group by row group: a file is never in memory as a whole. */
import { parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { badParquet } from "./errors.ts";

/** A file of which stretches are read. */
export interface ByteSource {
  readonly byteLength: number;
  /** Bytes [from, to); to the end by default. */
  slice(from: number, to?: number): ArrayBuffer;
}

/** A Parquet file whose footer has been read. */
export interface ParquetFile {
  /** Names of the top-level columns. */
  readonly columns: readonly string[];
  /** Objects with some columns of all rows, one row group at a time. */
  rowGroups(
    columns: readonly string[],
  ): AsyncGenerator<readonly Readonly<Record<string, unknown>>[]>;
}

/** Reads a file's footer. */
export async function openParquet(source: ByteSource): Promise<ParquetFile> {
  const metadata = await reading(() => parquetMetadataAsync(source));
  return {
    columns: parquetSchema(metadata).children.map(({ element }) => element.name),
    async *rowGroups(columns) {
      let rowStart = 0;
      for (const group of metadata.row_groups) {
        const rowEnd = rowStart + Number(group.num_rows);
        const range = { columns: [...columns], rowStart, rowEnd };
        yield await reading(() =>
          parquetReadObjects({ file: source, metadata, compressors, ...range }),
        );
        rowStart = rowEnd;
      }
    },
  };
}

async function reading<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw badParquet(cause);
  }
}
