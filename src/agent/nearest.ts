/**
 * The candidate with the smallest edit distance to `word`: what a mistyped key most likely meant.
 * Of equals the one of like length: two letters in the wrong order are the commonest slip.
 */
export function nearestWord(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestCost = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    const cost = distance + Math.min(Math.abs(word.length - candidate.length), MAX_WORD) / 100;
    if (cost < bestCost) {
      best = candidate;
      bestCost = cost;
    }
  }
  return best;
}

/** Longer words than this are compared by their beginning: keys are short, input may be anything. */
const MAX_WORD = 64;

/** Levenshtein distance, two rows at a time. */
export function editDistance(a: string, b: string): number {
  const left = a.slice(0, MAX_WORD);
  const right = b.slice(0, MAX_WORD);
  let previous = Array.from({ length: right.length + 1 }, (_, i) => i);
  for (let i = 1; i <= left.length; i++) {
    const row = [i];
    for (let j = 1; j <= right.length; j++) {
      const change = left[i - 1] === right[j - 1] ? 0 : 1;
      row.push(
        Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + change),
      );
    }
    previous = row;
  }
  return previous[right.length] ?? 0;
}
