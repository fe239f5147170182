// What is measured, on both sides by turns, so that whatever else the machine does meets both alike.

import { callPlugins } from "./caller.mjs";

/** A side under measurement: its calls, and the namespaces its containers have. */
let lastContainer = 0;

/** `count` fresh containers, in namespaces of the pool. */
function containersIn(pool, count) {
  return pool.slice(0, count).map((netns) => ({ netns, container: `bench-${lastContainer++}` }));
}

/**
 * ADD, then DEL, one at a time, a call of one side after a call of the other. Durations in ms by verb and side.
 * @returns {Promise<Record<"ADD" | "DEL", number[][]>>}
 */
export async function oneAtATime(program, sides, { count, ipMasq }) {
  const placed = sides.map(({ pool }) => containersIn(pool, count));
  const durations = { ADD: [], DEL: [] };
  for (const verb of ["ADD", "DEL"]) {
    const calls = Array.from({ length: count }, (_, index) =>
      sides.map(({ side }, which) => side.call(verb, { ...placed[which][index], ipMasq })),
    );
    const reports = await callPlugins(program, 1, calls.flat());
    durations[verb] = sides.map((_, which) =>
      reports.filter((_, index) => index % sides.length === which).map(({ start, end }) => end - start),
    );
  }
  return durations;
}

/**
 * ADD, then DEL, `atOnce` under way at any time, in rounds of `count` containers of one side and then of the other.
 * Containers per second by verb and side: all rounds together.
 */
export async function manyAtATime(program, sides, { count, rounds, atOnce, ipMasq }) {
  const seconds = { ADD: sides.map(() => 0), DEL: sides.map(() => 0) };
  for (let round = 0; round < rounds; round++) {
    const placed = sides.map(({ pool }) => containersIn(pool, count));
    for (const verb of ["ADD", "DEL"]) {
      for (const [which, { side }] of sides.entries()) {
        const calls = placed[which].map((container) => side.call(verb, { ...container, ipMasq }));
        seconds[verb][which] += elapsed(await callPlugins(program, atOnce, calls));
      }
    }
  }
  const rate = (spent) => (rounds * count) / spent;
  return { ADD: seconds.ADD.map(rate), DEL: seconds.DEL.map(rate) };
}

/** Durations in ms of a call without a container, one at a time; one list for each side that answers it. */
export async function alone(program, sides, verb, count) {
  const calls = Array.from({ length: count }, () => sides.map(({ side }) => side.call(verb)));
  const reports = await callPlugins(program, 1, calls.flat());
  return sides.map((_, which) =>
    reports.filter((_, index) => index % sides.length === which).map(({ start, end }) => end - start),
  );
}

/** All containers of the pool at once, first attached, then detached. Seconds of each. */
export async function storm(program, { side, pool }, count) {
  const containers = containersIn(pool, count);
  const seconds = {};
  for (const verb of ["ADD", "DEL"]) {
    seconds[verb] = elapsed(
      await callPlugins(
        program,
        count,
        containers.map((one) => side.call(verb, one)),
      ),
    );
  }
  return seconds;
}

/** ADD and DEL of `count` containers, `atOnce` at a time. */
export async function pairs(program, { side, pool }, { count, atOnce }) {
  for (let done = 0; done < count; ) {
    const containers = containersIn(pool, Math.min(count - done, pool.length));
    for (const verb of ["ADD", "DEL"]) {
      await callPlugins(
        program,
        atOnce,
        containers.map((one) => side.call(verb, one)),
      );
    }
    done += containers.length;
  }
}

/** Seconds from the first start to the last end. */
function elapsed(reports) {
  const starts = reports.map(({ start }) => start);
  const ends = reports.map(({ end }) => end);
  return (Math.max(...ends) - Math.min(...starts)) / 1000;
}
