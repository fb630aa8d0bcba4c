import type { JSX } from "preact";

/** A bar to the right for what raises the number, to the left for what lowers it; the figure beside it says the same. */
export function ShareBar({ value, largest }: { value: number; largest: number }): JSX.Element {
  const length = largest === 0 ? 0 : Math.min(1, Math.abs(value) / largest) * 50;
  return (
    <svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
      <line x1="50" y1="0" x2="50" y2="10" />
      <rect
        class={value < 0 ? "lowers" : "raises"}
        x={value < 0 ? 50 - length : 50}
        y="1"
        width={length}
        height="8"
      />
    </svg>
  );
}

/** A share as a figure with its sign. */
export function signed(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 0.0005 || size === 0 ? size.toFixed(3) : size.toExponential(1);
  return `${value < 0 ? "−" : "+"}${digits}`;
}
