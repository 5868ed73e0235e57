/** One node: whether it is there, what it measured last and how old that is, and how it was before. */

import { api, mayChange } from "../bench";
import { age, number } from "../format";
import { t, word } from "../i18n";
import type { Cell, Net } from "./net";
import type { Measured, Node } from "./nodes";
import { reasonIn } from "./reasons";
import { SIGNS } from "./signs";
import { show } from "./sections";
import { sendTo } from "./send";

export function Card({ cell: { node, version }, net }: { cell: Cell; net: Net }) {
  version.value;
  const now = performance.now();
  const isGone = node.state === "disconnected";
  return (
    <li ref={net.watch} class={`node ${node.state}`} data-node={node.addr}>
      <header>
        <h3>{node.name}</h3>
        <span class={`status ${node.state}`} data-state={node.state}>
          <span aria-hidden="true">{SIGNS[node.state] ?? "?"}</span> {word("ms_state", node.state)}
        </span>
        <small class="hint heard">
          {node.heardAt === null ? t("ms_never_heard") : t("ms_heard", { age: age((now - node.heardAt) / 1000) })}
        </small>
      </header>
      {isGone && node.reason && <p class="hint">{reasonIn(t, node.reason)}</p>}
      {node.values.size > 0 ? (
        <dl>
          {inOrder(node.values, net.types.value).map(([name, value]) => (
            <Quantity key={name} name={name} value={value} digits={net.nodes.digitsOf(name)} now={now} />
          ))}
        </dl>
      ) : (
        <p class="hint">{t("ms_no_values")}</p>
      )}
      <footer>
        <Identity addr={node.addr} uuid={node.uuid} />
        <span class="more">
          {mayChange.value && api.value !== "" && (
            <button type="button" onClick={() => sendTo(node.addr)}>
              {t("ms_send_short")}
              <span class="for-readers">: {node.name}</span>
            </button>
          )}
          <button type="button" onClick={() => showTraffic(net, node.addr)}>
            {t("ms_traffic")}
            <span class="for-readers">: {node.name}</span>
          </button>
        </span>
      </footer>
    </li>
  );
}

function Identity({ addr, uuid }: Pick<Node, "addr" | "uuid">) {
  return (
    <small class="hint identity">
      {t("ms_address", { addr: String(addr) })}
      {uuid && (
        <>
          {" · UUID "}
          <code>{uuid}</code>
        </>
      )}
    </small>
  );
}

function Quantity({ name, value, digits, now }: { name: string; value: Measured; digits: number; now: number }) {
  const isNumber = typeof value.value === "number";
  const shape = isNumber ? value.trend.shape(digits) : null;
  const written = (each: number) => `${number(each, digits)}${value.unit ? ` ${value.unit}` : ""}`;
  const what = word("ms_type", name);
  return (
    <div class="value" data-type={name}>
      <dt>
        {what} <small class="age">{t("ms_ago", { age: age((now - value.at) / 1000) })}</small>
      </dt>
      <dd>
        {isNumber ? (
          <span class="figures-of-it">
            {number(value.value as number, digits)} <small>{value.unit}</small>
          </span>
        ) : (
          <span class="words">{value.value ?? "–"}</span>
        )}
        {shape && (
          <svg
            class="spark"
            role="img"
            viewBox="0 0 100 100"
            preserveAspectRatio="none"
            aria-label={t("ms_curve", { what, span: age(shape.spanS), low: written(shape.low), high: written(shape.high) })}
          >
            <path d={shape.path} />
          </svg>
        )}
      </dd>
      {shape && shape.spanS > 0 && (
        <small class="hint extent" aria-hidden="true">
          {age(shape.spanS)}: {number(shape.low, digits)}
          {shape.high > shape.low && `…${number(shape.high, digits)}`}
        </small>
      )}
    </div>
  );
}

/** As the listener's data types are, so that each has its place; unknown ones behind, in the order of their coming. */
function inOrder(values: Node["values"], types: string): [string, Measured][] {
  const place = (name: string) => {
    const found = types.indexOf(`\n${name}\n`);
    return found < 0 ? Infinity : found;
  };
  return [...values].sort(([one], [other]) => (place(one) === place(other) ? 0 : place(one) - place(other)));
}

function showTraffic(net: Net, addr: number): void {
  net.filter.value = { ...net.filter.value, addr };
  show("traffic");
}
