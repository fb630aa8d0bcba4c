/** Damages bytes as disks, editors, half downloads and attackers do. */

const extremes = [0, 1, 2, 127, 128, 255, 256, 65_535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

/** One to four damages, most of them near the beginning or the end, where sizes and offsets stand. */
export function mutated(seed: Uint8Array, random: () => number): Uint8Array {
  let bytes = Buffer.from(seed);
  const below = (n: number): number => Math.floor(random() * Math.max(1, n));
  const place = (): number => {
    const end = bytes.length;
    const near = Math.min(end, 2 ** (3 + below(10)));
    return [below(near), end - 1 - below(near), below(end)][below(3)]!;
  };
  for (let left = 1 + below(4); left > 0 && bytes.length > 0; left--) {
    const at = Math.max(0, place());
    switch (below(8)) {
      case 0:
        bytes[at] = below(256);
        break;
      case 1:
        bytes[at]! ^= 1 << below(8);
        break;
      case 2:
        if (at + 4 <= bytes.length) bytes.writeUInt32LE(extremes[below(extremes.length)]!, at);
        break;
      case 3:
        if (at + 8 <= bytes.length)
          bytes.writeBigUInt64LE(
            BigInt(extremes[below(extremes.length)]!) << BigInt(below(33)),
            at,
          );
        break;
      case 4:
        bytes = bytes.subarray(0, at);
        break;
      case 5: {
        const more = Buffer.from(Array.from({ length: 1 + below(16) }, () => below(256)));
        bytes = Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
        break;
      }
      case 6:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(16))]);
        break;
      default: {
        const from = place();
        bytes.copy(bytes, at, from, from + 1 + below(32));
      }
    }
  }
  return new Uint8Array(bytes);
}

const hostileValues: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  2 ** 53,
  "",
  "x",
  "../../../etc/passwd",
  "\u0000\u202e<img src=x onerror=alert(1)>",
  [],
  {},
  [[]],
  { __proto__: null, toString: 1 },
];

/** JSON with one to three of its values, at any depth, replaced, left out, renamed or added. */
export function mutatedJson(value: unknown, random: () => number): unknown {
  const root = { value: structuredClone(value) } as Record<string, unknown>;
  const below = (n: number): number => Math.floor(random() * n);
  for (let left = 1 + below(3); left > 0; left--) {
    let [parent, key] = [root, "value"];
    for (let inner = parent[key]; isTable(inner) && random() < 0.8; inner = parent[key]) {
      const keys = Object.keys(inner);
      if (keys.length === 0) break;
      [parent, key] = [inner, keys[below(keys.length)]!];
    }
    const choice = below(6);
    const hostile = structuredClone(hostileValues[below(hostileValues.length)]);
    if (choice === 0 && parent !== root) delete parent[key];
    else if (choice === 1) parent[`${key}_`] = parent[key];
    else if (choice === 2 && typeof parent[key] === "number")
      parent[key] = (parent[key] as number) * 10 ** (below(9) - 2);
    else parent[key] = hostile;
  }
  return root["value"];
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
