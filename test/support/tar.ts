// A tar archive (POSIX ustar) made in memory: what an image's layer and an image archive are. Everything belongs to
// root and dates from 1970, so the same files always give the same bytes.

/** One entry. Paths are relative, without a leading slash; names longer than 100 bytes are refused. */
export type TarEntry =
  | { readonly type: "file"; readonly path: string; readonly content: Buffer; readonly mode?: number }
  | { readonly type: "directory"; readonly path: string; readonly mode?: number }
  | { readonly type: "symlink"; readonly path: string; readonly target: string };

const BLOCK = 512;

export function tar(entries: readonly TarEntry[]): Buffer {
  const blocks: Buffer[] = [];
  for (const entry of entries) {
    const content = entry.type === "file" ? entry.content : Buffer.alloc(0);
    blocks.push(header(entry, content.length), content);
    const rest = content.length % BLOCK;
    if (rest !== 0) blocks.push(Buffer.alloc(BLOCK - rest));
  }
  // Two empty blocks end an archive.
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

/** Offsets and lengths are those of `struct posix_header` in tar.h. */
function header(entry: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const text = (offset: number, length: number, value: string): void => {
    if (Buffer.byteLength(value) > length) throw new Error(`too long for a tar header: ${value}`);
    block.write(value, offset, "utf8");
  };
  const octal = (offset: number, length: number, value: number): void =>
    text(offset, length, value.toString(8).padStart(length - 1, "0"));

  text(0, 100, entry.type === "directory" ? `${entry.path}/` : entry.path);
  octal(100, 8, entry.type === "symlink" ? 0o777 : (entry.mode ?? (entry.type === "file" ? 0o644 : 0o755)));
  octal(108, 8, 0); // uid
  octal(116, 8, 0); // gid
  octal(124, 12, size);
  octal(136, 12, 0); // mtime
  block.fill(" ", 148, 156); // the checksum counts as blanks
  text(156, 1, { file: "0", symlink: "2", directory: "5" }[entry.type]);
  if (entry.type === "symlink") text(157, 100, entry.target);
  text(257, 6, "ustar");
  text(263, 2, "00");
  const checksum = block.reduce((sum, byte) => sum + byte, 0);
  block.write(`${checksum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}
