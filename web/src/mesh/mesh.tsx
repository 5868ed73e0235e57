/** The tab Mesh: the lamps, the nodes, what is sent, and what goes over the serial line. */

import { useEffect, useState } from "preact/hooks";
import { api, epoch, mayChange } from "../bench";
import { t, word } from "../i18n";
import { Lamps } from "./lamps";
import { Log } from "./log";
import "./mesh.css";
import { Net } from "./net";
import { Nodes } from "./node_list";
import { reasonIn } from "./reasons";
import { Root } from "./root";
import { SECTIONS } from "./sections";
import { Send } from "./send";

export function Mesh({ section = "nodes" }: { section: string | undefined }) {
  const [net, setNet] = useState<Net | null>(null);
  useEffect(() => {
    const made = new Net();
    setNet(made);
    return () => made.close();
  }, []);
  const current = SECTIONS.find(({ path }) => path === section)?.path ?? "nodes";
  return net && <Shown net={net} section={current} />;
}

/** States of the serial line in which nothing comes. */
const AWAY = ["disconnected", "searching"];

function Shown({ net, section }: { net: Net; section: string }) {
  const isLive = net.link.value.state === "open" && !AWAY.includes(net.about.value?.uart.state ?? "");
  return (
    <article class={isLive ? "mesh" : "mesh stale"} data-section={section}>
      <Lamps net={net} />
      <Troubles net={net} />
      <nav class="sections" aria-label={t("ms_parts")}>
        {SECTIONS.map(({ path, title }) => (
          <a key={path} href={`#/mesh/${path}`} aria-current={path === section ? "page" : undefined}>
            {t(title)}
          </a>
        ))}
      </nav>
      <div class="mesh-grid">
        <Nodes net={net} />
        <div class="line-side">
          <section class="sending" aria-labelledby="ms-send">
            <h2 id="ms-send">{t("ms_send")}</h2>
            <MayNot />
            {mayChange.value && api.value !== "" && (
              <>
                <Send net={net} />
                <Root net={net} />
              </>
            )}
          </section>
          <Log net={net} />
        </div>
      </div>
    </article>
  );
}

/** Why nothing can be sent from here. */
function MayNot() {
  if (epoch.value === null) return null;
  if (!mayChange.value) return <p class="told">{t("ms_read_only")}</p>;
  return api.value === "" ? <p class="told needs-api">{t("ms_needs_api")}</p> : null;
}

function Troubles({ net }: { net: Net }) {
  const link = net.link.value;
  const about = net.about.value;
  const uart = about?.uart;
  return (
    <div role="alert" class="troubles">
      {link.state === "waiting" && (
        <p class="told bad" data-trouble="no_link">
          {t("ms_no_link", { reason: link.reason })}
        </p>
      )}
      {link.state === "refused" && (
        <p class="told bad" data-trouble="refused">
          {t("ms_refused", { reason: link.reason })}
        </p>
      )}
      {link.state === "open" && uart && uart.state !== "connected" && (
        <p class={uart.state === "searching" ? "told warn" : "told bad"} data-trouble={`uart_${uart.state}`}>
          {word("ms_uart_told", uart.state)} {uart.why ? reasonIn(t, uart.why) : ""}
        </p>
      )}
      {about?.storing !== undefined && about.storing !== "ok" && (
        <p class="told bad" data-trouble="storing">
          {t("ms_not_stored", { kind: word("storing", about.storing) })}
        </p>
      )}
      {net.skipped.value > 0 && (
        <p class="told warn" data-trouble="skipped">
          {t("ms_skipped", { count: net.skipped.value })}
        </p>
      )}
      {epoch.value !== null && api.value === "" && !mayChange.value && (
        <p class="hint needs-api">{t("ms_needs_api")}</p>
      )}
    </div>
  );
}
