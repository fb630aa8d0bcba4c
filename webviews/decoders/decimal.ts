/** A figure with a minus sign as long as a plus, as `signed` has it; no minus before what is rounded to 0. */
export function decimal(value: number, digits: number): string {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}
