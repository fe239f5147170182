import { expect, it } from "vitest";
import type { Attachment } from "../core/endpoints/attachment.ts";
import type { Reply, Request } from "../core/requests.ts";
import { createAttachments } from "./attachments.ts";

const KEY = { network: "weave", containerId: "c1", ifname: "eth0" };
const LINK = { mac: "02:00:00:00:00:01", hostIfname: "vw000000000001", hairpin: true };

/** A daemon whose core answers as told, and whose kernel follows when told. */
function rig(answer: (request: Request) => Reply) {
  let exposed: readonly string[] = [];
  let followed = (): void => undefined;
  const waiting = new Promise<void>((resolve) => {
    followed = resolve;
  });
  const unused = (): never => {
    throw new Error("not asked for");
  };
  const attachments = createAttachments(
    {
      request: async (request) => {
        if (request.kind === "expose") exposed = ["10.32.0.1/12"];
        return answer(request);
      },
      node: {
        readiness: unused,
        overlayMtu: unused,
        find: unused,
        attachments: unused,
        exposed: unused,
        peers: unused,
        get config(): never {
          return unused();
        },
        exposedIn: () => exposed,
        isExposed: () => exposed.length > 0,
      },
    },
    { settled: () => waiting, failures: () => [], repair: unused },
    { inspect: unused },
  );
  return { attachments, follow: () => followed() };
}

/** Whether a promise has resolved once everything that could run has run. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

it("a gateway another call has just exposed is waited for like by that call", async () => {
  const { attachments, follow } = rig(() => ({ ok: true, addresses: ["10.32.0.1/12"] }));
  const signal = new AbortController().signal;
  const first = attachments.gateways(undefined, signal);
  await isDone(first);
  const second = attachments.gateways(undefined, signal);
  expect(await isDone(second)).toBe(false);
  follow();
  expect(await second).toEqual(["10.32.0.1/12"]);
  expect(await isDone(first)).toBe(true);
});

it("a commit waits for the firewall where it changes, or where another's change is its own, and else not", async () => {
  const attachment: Attachment = {
    ...KEY,
    addresses: ["10.32.0.5/12"],
    moment: { bootId: "b", bootMs: 1 },
    committed: true,
    masquerade: false,
  };
  const { masquerade: _, ...plain } = attachment;
  const replies: Reply[] = [
    { ok: true, attachment, changesHost: true },
    { ok: true, attachment },
    { ok: true, attachment: plain },
  ];
  const { attachments, follow } = rig(() => replies.shift() ?? { ok: true });
  const first = attachments.commit(KEY, { link: LINK });
  expect(await isDone(first)).toBe(false);
  const second = attachments.commit(KEY, { link: LINK });
  const third = attachments.commit(KEY, { link: LINK });
  expect([await isDone(second), await isDone(third)]).toEqual([false, true]);
  follow();
  expect([await isDone(first), await isDone(second)]).toEqual([true, true]);
});
