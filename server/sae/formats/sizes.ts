/** Sizes of an SAE whose format states none: they are read off the weights. */
import { missingParameter, wrongParameterShape } from "../errors.ts";
import type { Located } from "../parameter.ts";

/** d_in and d_sae from W_enc, d_out from W_dec, whose d_sae must be the same. */
export function sizesOf(located: Readonly<Record<string, Located | undefined>>): {
  d_in: number;
  d_sae: number;
  d_out: number;
} {
  const [d_in, d_sae] = matrix(located, "W_enc");
  const [same, d_out] = matrix(located, "W_dec");
  const decoder = located["W_dec"]!;
  if (same !== d_sae) {
    const transposed = "transposed" in decoder && decoder.transposed;
    const order = (rows: number): number[] => (transposed ? [d_out, rows] : [rows, d_out]);
    throw wrongParameterShape({
      file: decoder.in.description,
      key: decoder.key,
      found: order(same),
      expected: order(d_sae),
    });
  }
  return { d_in, d_sae, d_out };
}

function matrix(
  located: Readonly<Record<string, Located | undefined>>,
  name: string,
): readonly [number, number] {
  const place = located[name];
  const dims = place?.in.dims(place.key);
  if (!place || !dims) {
    const any = Object.values(located).find((it) => it !== undefined);
    throw missingParameter(
      any?.in.description ?? "the weight file",
      name,
      any?.in.names() ?? [],
      "every SAE",
    );
  }
  const [rows, columns] = "transposed" in place && place.transposed ? dims.toReversed() : dims;
  if (dims.length !== 2 || rows === undefined || columns === undefined)
    throw wrongParameterShape({
      file: place.in.description,
      key: place.key,
      found: dims,
      expected: name === "W_enc" ? ["d_in", "d_sae"] : ["d_sae", "d_out"],
    });
  return [rows, columns];
}
