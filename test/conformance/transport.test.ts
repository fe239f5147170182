import { createMemoryNetwork } from "../../src/adapters/transport-memory.ts";
import { MESH_KEY_BYTES } from "../../src/adapters/transport-ws/psk.ts";
import { seededRandom } from "../../src/core/random.ts";
import { type TransportWorld, transportSuite } from "./transport.ts";
import { createVirtualTime } from "./transport-virtual-time.ts";
import { createWsWorld } from "./transport-ws-world.ts";

const ALICE = "10.0.0.1";
const BOB = "10.0.0.2";

async function createMemoryWorld(seed: number): Promise<TransportWorld> {
  const time = createVirtualTime();
  const latencyMs = { min: 1, max: 50 };
  const network = createMemoryNetwork({
    scheduler: time,
    random: seededRandom(seed),
    link: { latencyMs, lossProbability: 0 },
  });
  return {
    alice: network.endpoint(ALICE),
    bob: network.endpoint(BOB),
    aliceTarget: ALICE,
    bobTarget: `${BOB}:6783`,
    nobodyTarget: "10.0.0.3",
    bobAgain: async () => network.endpoint(BOB),
    stall: () => network.partition([[ALICE], [BOB]]),
    resume: () => network.heal(),
    cut: () => network.setLink(ALICE, BOB, { latencyMs, lossProbability: 1 }),
    async until(what, fact) {
      for (let more = true; ; more = time.step()) {
        // Promises that a step resolved are part of it.
        await new Promise((resolve) => setImmediate(resolve));
        if (fact()) return;
        if (!more) throw new Error(`nothing more will happen, yet not: ${what} (seed ${seed})`);
      }
    },
    async dispose() {},
  };
}

for (const seed of [1, 2, 3]) transportSuite(`memory, seed ${seed}`, () => createMemoryWorld(seed));
transportSuite("WebSocket", () => createWsWorld());
transportSuite("WebSocket over TLS", () => createWsWorld(new Uint8Array(MESH_KEY_BYTES).fill(7)));
