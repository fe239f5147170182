// The messages of a ballot as they go over the wire (schemas: gossip/frames.ts): with the cluster, and configurations as JSON.
import type { UnicastBody } from "../gossip/frames.ts";
import type { BallotBody } from "./ballot-body.ts";
import { configurationFromWire, configurationToWire } from "./configuration-wire.ts";

/** A message of a ballot as JSON. */
export type BallotWire = Extract<UnicastBody, { k: BallotBody["k"] }>;

/** `cluster`: absent at a founding. */
export function ballotToWire(body: BallotBody, cluster: string | undefined): BallotWire {
  const where = cluster === undefined ? {} : { cluster };
  const [number, incarnation] = body.round;
  const round: [number, string] = [number, incarnation];
  switch (body.k) {
    case "prepare":
    case "accepted":
      return { ...where, ...body, round };
    case "accept":
      return { ...where, ...body, round, value: configurationToWire(body.value) };
    case "promise": {
      const { accepted, ...rest } = body;
      if (accepted === undefined) return { ...where, ...rest, round };
      const [at, by] = accepted.round;
      return {
        ...where,
        ...rest,
        round,
        accepted: { round: [at, by], value: configurationToWire(accepted.value) },
      };
    }
  }
}

/** The way back; the cluster is the caller's to compare. */
export function ballotFromWire(wire: BallotWire): BallotBody {
  const { epoch, round, incarnation } = wire;
  const head = { epoch, round, incarnation };
  switch (wire.k) {
    case "prepare":
      return { k: wire.k, ...head, ...(wire.expected === undefined ? {} : { expected: wire.expected }) };
    case "promise":
      return {
        k: wire.k,
        ...head,
        ...(wire.expected === undefined ? {} : { expected: wire.expected }),
        ...(wire.higher === undefined ? {} : { higher: wire.higher }),
        ...(wire.accepted === undefined
          ? {}
          : { accepted: { round: wire.accepted.round, value: configurationFromWire(wire.accepted.value) } }),
      };
    case "accept":
      return { k: wire.k, ...head, value: configurationFromWire(wire.value) };
    case "accepted":
      return { k: wire.k, ...head, ...(wire.higher === undefined ? {} : { higher: wire.higher }) };
  }
}
