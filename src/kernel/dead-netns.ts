// Which network namespaces exist no more. Positive evidence only.

export async function deadNetns(_ids: readonly string[]): Promise<ReadonlySet<string>> {
  return new Set();
}
