// A run as text people can read: one line for each thing that happened, with its time, and one for each frame sent.
import { decodeFrame } from "../../src/core/gossip/frames.ts";

/** Lines for `print`, while `wanted` says so. World notes go through as they are. */
export function tracerOf(print: (line: string) => void, wanted: () => boolean): (line: string) => void {
  return (line) => {
    if (wanted()) print(line);
  };
}

/** A frame in few words. */
export function frameText(text: string): string {
  const frame = decodeFrame(text);
  if (frame === "unknown" || "refused" in frame) return text.slice(0, 100);
  switch (frame.t) {
    case "hello":
      return `hello ${frame.name} of ${frame.cluster ?? "no cluster"}`;
    case "push":
      return `push ${frame.channel} ${some(frame.entries.map(([origin, key, version, value]) => `${origin}/${key}@${version}${value === null ? " gone" : ""}`))}${frame.repair === true ? " (repair)" : ""}`;
    case "digest":
      return `digest ${frame.channel} of ${frame.origins.length} origins${frame.answer === true ? " (answer)" : ""}`;
    case "ring":
      return `ring ${frame.universe} ${some(frame.ranges.map(([start, end, version, owner]) => `${start}-${end}:${owner}@${version}`))}${frame.repair === true ? " (repair)" : ""}`;
    case "to":
      return `for ${frame.to} from ${frame.from}: ${JSON.stringify(frame.body).slice(0, 200)}`;
    case "sums":
      return `sums ${Object.entries(frame.sums)
        .map(([name, sum]) => `${name}=${sum.toString(16)}`)
        .join(" ")}`;
    default:
      return frame.t;
  }
}

/** The first few, and how many there are. */
function some(items: readonly string[]): string {
  const shown = items.slice(0, 5).join(" ");
  return items.length > 5 ? `${shown} and ${items.length - 5} more` : shown;
}
