"""Small Parquet files as pyarrow and the Hub's converters write them: python make_parquet.py OUT (pyarrow 26)."""
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
texts = [f"Row {i}: the whale swims — {'deep ' * (i % 5)}🐋" for i in range(250)]
texts[7] = None
texts[8] = ""
rows = pa.table({"id": pa.array(range(250), pa.int64()), "text": texts})
for codec in ["snappy", "zstd", "gzip", "brotli", "none"]:
    pq.write_table(rows, out / f"texts-{codec}.parquet", row_group_size=100, compression=codec)
message = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
chats = [[{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": "answer"}] for i in range(3)]
pq.write_table(pa.table({"messages": pa.array(chats, message)}), out / "messages.parquet", compression="zstd")
pq.write_table(pa.table({"content": ["one", "two"], "stars": [1, 2]}), out / "content.parquet")
