// Run inside a namespace: prints the body of one HTTP answer, or fails with the reason on stderr.
//
//   http-get.mjs URL
import { get } from "node:http";

const request = get(process.argv[2], { timeout: 3_000, agent: false }, (response) => {
  response.pipe(process.stdout);
});
request.on("timeout", () => request.destroy(new Error("no answer within 3 s")));
request.on("error", (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
