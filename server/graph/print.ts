/**
 * Prints a graph as text, one line per node that its outputs need: what tests snapshot and people read.
 */
import { type Graph, neededNodes, type Node, type Value } from "./graph.ts";
import { printType } from "./op.ts";

/** The graph as text, in the manner of jax: inputs, then `name: type = op operands {parameters}`, then outputs. */
export function print(graph: Graph): string {
  const names = new Map<Value, string>();
  let count = 0;
  const lines = [
    `${graph.name}(${graph.inputs.map((x) => `${x.name}: ${printType(x)}`).join(", ")})`,
  ];
  const use = (value: Value | undefined): string => {
    if (value === undefined) return "-";
    const { origin } = value;
    if (origin.kind === "constant") return printConstant(value);
    if (origin.kind === "weight" && !names.has(value)) {
      names.set(value, value.name);
      lines.push(`  ${value.name}: ${printType(value)} = weight`);
    }
    return names.get(value) ?? value.name;
  };
  for (const node of neededNodes(graph)) {
    const operands = node.inputs.map(use);
    const results = node.outputs.map((output) => {
      names.set(output, letters(count++));
      return `${names.get(output)}: ${printType(output)}`;
    });
    lines.push(
      `  ${results.join(", ")} = ${[node.op.name, ...operands].join(" ")}${printAttrs(node)}`,
    );
  }
  for (const [name, value] of graph.outputs) lines.push(`  return ${name} = ${use(value)}`);
  return lines.join("\n");
}

function printAttrs(node: Node): string {
  const attrs = Object.entries(node.attrs).filter(([, value]) => value !== undefined);
  if (attrs.length === 0) return "";
  return ` {${attrs.map(([name, value]) => `${name}: ${printAttr(value)}`).join(", ")}}`;
}

function printAttr(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(", ")}]` : String(value);
}

function printConstant(value: Value): string {
  if (value.origin.kind !== "constant") return value.name;
  const { data } = value.origin.tensor;
  if (data.length > 4) return `constant:${printType(value)}`;
  const elements = Array.from(data, String);
  return value.dims.length === 0 ? elements[0]! : `[${elements.join(", ")}]`;
}

/** a, b, … z, aa, ab, … */
function letters(n: number): string {
  const last = String.fromCharCode(97 + (n % 26));
  return n < 26 ? last : letters(Math.floor(n / 26) - 1) + last;
}
