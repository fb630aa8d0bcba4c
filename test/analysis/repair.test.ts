/** A toy with planted absorption: parents that child latents absorbed come back through their meta-latents. */
import { expect, test } from "vitest";
import { breakDown, directionsOf } from "../../server/analysis/meta/breakdown.ts";
import { repair } from "../../server/analysis/meta/repair.ts";
import { SeededRandom } from "../../server/base/seeded-random.ts";
import { openDevice } from "../../server/runtime/device.ts";
import { SparseRows } from "../../server/sae/sparse-acts.ts";
import { toySae, unit, unitDirections } from "./toy-saes.ts";

test("absorbed words are found again, and not by shuffled breakdowns", async () => {
  const { device } = await openDevice({ device: "cpu", threads: 1, memoryBudget: 2 ** 30 });
  // Atom 0 is the feature, 1 to 3 are words that absorbed it, the others have nothing to do with it.
  const [nAtoms, d] = [40, 64];
  const atoms = unitDirections(nAtoms, d, 3);
  const rows = atoms.map((atom, latent) =>
    latent >= 1 && latent <= 3 ? unit(atom.map((it, at) => it + 0.8 * atoms[0]![at]!)) : atom,
  );
  const parent = await toySae(device, { W_dec: rows });
  const meta = await toySae(device, {
    W_dec: atoms,
    threshold: Array.from({ length: nAtoms }, () => 0.4),
  });
  const { acts: parts } = await breakDown(meta, directionsOf(parent, [...rows.keys()]));
  const partsOf = (latent: number): number[] => [
    ...parts.latents.subarray(parts.offsets[latent], parts.offsets[latent + 1]),
  ];
  expect(partsOf(2).toSorted((a, b) => a - b)).toEqual([0, 2]);

  // Forty words: ten with the feature said by its own latent, ten by an absorber, twenty without it.
  const words = new SparseRows(40);
  const truth = new Uint8Array(40);
  for (let word = 0; word < 40; word++) {
    const own = word < 10 ? [0] : word < 20 ? [1 + (word % 3)] : [];
    truth[word] = word < 20 ? 1 : 0;
    const others = [0, 7, 19].map((more) => 4 + ((word + more) % 36));
    const latents = Int32Array.from([...own, ...others]);
    words.set(
      word,
      latents,
      Float32Array.from(latents, () => 1),
    );
  }
  const metaCosines = Float32Array.from(atoms, (atom) =>
    atom.reduce((sum, it, at) => sum + it * atoms[0]![at]!, 0),
  );
  const random = new SeededRandom(1);
  const found = repair(
    { acts: words.finish(), truth, main: [0], absorbers: [1, 2, 3], metaCosines },
    partsOf,
    { nLatents: nAtoms, random: () => random.uniform() },
  );
  expect(found.parts.map(({ part }) => part)).toEqual([0, 0, 0]);
  expect(found.before).toMatchObject({ precision: 1, recall: 0.5 });
  expect(found.after).toMatchObject({ precision: 1, recall: 1 });
  expect(found.control.f1).toBeLessThan(0.85);
  await parent.release();
  await meta.release();
  await device.close();
});
