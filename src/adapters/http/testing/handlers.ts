// Handlers for tests of the listeners: a test gives those it calls.
import type { ControlHandlers } from "../server.ts";
import { status } from "./status.ts";

const unused = (): never => {
  throw new Error("a bug");
};
/** What is not given must not be called. */
export const handlers: ControlHandlers = {
  status: () => status,
  connect: unused,
  expose: unused,
  hide: unused,
  ps: unused,
  attach: unused,
  detach: unused,
  report: unused,
  rmpeer: unused,
  reset: unused,
  join: unused,
  stop: () => ({ pid: 42 }),
  cni: unused,
};
