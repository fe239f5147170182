// The network between the hosts: a bridge in a namespace of its own, one port per host, which can be cut. It is also
// the hosts' default gateway. Nothing on it has a route to the overlay's range.
import { TestNamespace } from "../kernel/support/namespaces.ts";

/** TEST-NET-2 of RFC 5737: nobody's. */
const NETWORK = "198.51.100";
const GATEWAY = `${NETWORK}.1`;

/** The network between hosts: a bridge in a namespace of its own. */
export class Underlay {
  readonly namespace = new TestNamespace("underlay");
  readonly #ports = new Map<string, string>();

  async start(): Promise<void> {
    await this.namespace.run("ip link add lan type bridge");
    await this.namespace.run(`ip address add ${GATEWAY}/24 dev lan`);
    await this.namespace.run("ip link set lan up");
  }

  /** Give a namespace an interface `wan` with an address, which is answered. */
  async join(member: TestNamespace, options: { readonly gateway: boolean }): Promise<string> {
    const number = this.#ports.size + 1;
    const [port, address] = [`p${number}`, `${NETWORK}.${10 + number}`];
    await this.namespace.run(`ip link add ${port} type veth peer name wan netns ${member.name}`);
    await this.namespace.run(`ip link set ${port} master lan up`);
    await member.run(`ip address add ${address}/24 dev wan`);
    await member.run("ip link set wan up");
    if (options.gateway) await member.run(`ip route add default via ${GATEWAY}`);
    this.#ports.set(member.name, port);
    return address;
  }

  /** Frames from and to a member are dropped silently, as a broken switch would: its carrier stays. */
  async cut(member: TestNamespace): Promise<void> {
    await this.#setState(member, "disabled");
  }

  async heal(member: TestNamespace): Promise<void> {
    await this.#setState(member, "forwarding");
  }

  /** Nothing passes between these members and the others; inside both parts all does. */
  async part(members: readonly TestNamespace[]): Promise<void> {
    const ports = `{ ${members.map((member) => this.#portOf(member)).join(", ")} }`;
    await this.namespace.run("nft add table bridge part");
    await this.namespace.run("nft add chain bridge part forward { type filter hook forward priority 0 ; }");
    await this.namespace.run(`nft add rule bridge part forward iifname ${ports} oifname != ${ports} drop`);
    await this.namespace.run(`nft add rule bridge part forward iifname != ${ports} oifname ${ports} drop`);
  }

  async unite(): Promise<void> {
    await this.namespace.run("nft delete table bridge part");
  }

  #portOf(member: TestNamespace): string {
    const port = this.#ports.get(member.name);
    if (port === undefined) throw new Error(`${member.name} is not on the underlay`);
    return port;
  }

  async #setState(member: TestNamespace, state: "disabled" | "forwarding"): Promise<void> {
    const port = this.#portOf(member);
    // BR_STATE_DISABLED and BR_STATE_FORWARDING of linux/if_bridge.h.
    await this.namespace.run(`bridge link set dev ${port} state ${state === "disabled" ? 0 : 3}`);
  }
}
