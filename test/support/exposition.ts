// Reads Prometheus' text format as strictly as `promtool check metrics` does: what a scraper would refuse or a linter would
// complain of is thrown.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly type: string;
  readonly samples: Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]?Inf|[+-]?[0-9.]+(?:e[+-]?\d+)?)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;
const TYPES = ["counter", "gauge", "histogram", "summary", "untyped"];

/** Families by name. Throws an Error that names the line. */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  const families = new Map<string, Family>();
  const helped = new Set<string>();
  const seen = new Set<string>();
  if (!text.endsWith("\n")) throw new Error("the last line has no newline");
  let current: { name: string; family: Family } | undefined;
  for (const line of text.split("\n").filter((one) => one !== "")) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${line}`);
    };
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      if (helped.has(name)) fail("a second HELP");
      if (!NAME.test(name) || rest === "") fail("a bad HELP");
      helped.add(name);
    } else if (keyword === "TYPE") {
      if (families.has(name)) fail("a second TYPE");
      if (!helped.has(name)) fail("no HELP");
      if (!TYPES.includes(rest)) fail("a bad TYPE");
      if ((rest === "counter") !== name.endsWith("_total")) fail("counters, and only they, end in _total");
      current = { name, family: { type: rest, samples: [] } };
      families.set(name, current.family);
    } else {
      const sample = parseSample(line);
      const suffix = current === undefined ? undefined : sample.name.slice(current.name.length);
      const allowed = current?.family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
      if (current === undefined || !sample.name.startsWith(current.name) || !allowed.includes(suffix ?? "-"))
        fail("a sample outside its family");
      const id = line.slice(0, line.lastIndexOf(" "));
      if (seen.has(id)) fail("twice the same sample");
      seen.add(id);
      current?.family.samples.push(sample);
    }
  }
  for (const [name, { type, samples }] of families) if (type === "histogram") checkHistogram(name, samples);
  return families;
}

function parseSample(line: string): Sample {
  const [, name = "", labelText = "", value = ""] = SAMPLE.exec(line) ?? [];
  if (name === "") throw new Error(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labelText.length) {
    const [, key = "", quoted = ""] = LABEL.exec(labelText) ?? [];
    if (key === "" || key in labels) throw new Error(`bad labels: ${line}`);
    labels[key] = quoted;
  }
  return { name, labels, value: Number(value.replace("Inf", "Infinity")) };
}

/** Buckets do not fall, end with +Inf, and that one is the count. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const seriesOf = ({ labels: { le: _, ...labels } }: Sample): string => JSON.stringify(labels);
  for (const labels of new Set(samples.map(seriesOf))) {
    const of = samples.filter((sample) => seriesOf(sample) === labels);
    const buckets = of.filter((sample) => sample.name === `${name}_bucket`);
    const isRising = buckets.every(({ value }, at) => at === 0 || value >= (buckets[at - 1]?.value ?? 0));
    const count = of.find((sample) => sample.name === `${name}_count`)?.value;
    const last = buckets.at(-1);
    if (!isRising || last?.labels["le"] !== "+Inf" || last.value !== count)
      throw new Error(`the buckets of ${name}${labels} do not add up`);
  }
}
