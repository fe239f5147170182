// Which programs of others are installed.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Whether a command is found in PATH. */
export function isInstalled(command: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK);
      return directory !== "";
    } catch {
      return false;
    }
  });
}
