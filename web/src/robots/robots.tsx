/** The tab Robots: the stop, the sticks, what becomes of commands, and every robot. */

import { useEffect, useState } from "preact/hooks";
import { epoch } from "../bench";
import { t, word } from "../i18n";
import { Card } from "./card";
import { Desk } from "./desk";
import { Dials } from "./dials";
import { Joystick } from "./joystick";
import { Chooser, Name, Operator, inWords } from "./operator";
import { reasonIn } from "./reasons";
import "./robots.css";
import { StopBar } from "./stop";
import { Told } from "./told";

export function Robots() {
  const [desk, setDesk] = useState<Desk | null>(null);
  useEffect(() => {
    const made = new Desk();
    setDesk(made);
    return () => made.close();
  }, []);
  return desk && <Shown desk={desk} />;
}

function Shown({ desk }: { desk: Desk }) {
  desk.changes.value;
  const now = performance.now();
  const { fleet } = desk;
  const robots = fleet.ordered();
  const dead = desk.dead(now);
  const whom = inWords(desk.target.value);
  return (
    <article class="robots">
      <StopBar desk={desk} now={now} />
      <Troubles desk={desk} />
      <div class="robots-grid">
        <section class="steering" aria-label={t("rb_steer")}>
          {/* What comes and goes is below the sticks: they do not move away under a thumb. */}
          <Chooser desk={desk} />
          <div class={dead ? "sticks dead-sticks" : "sticks"}>
            <Joystick desk={desk} stick="robot_move" isDead={dead !== null} whom={whom} />
            <Joystick desk={desk} stick="camera_move" isDead={dead !== null} whom={whom} />
          </div>
          <Operator desk={desk} />
          <p class="dead" role="status">
            {dead && (dead.why === "operated" ? t("rb_dead_operated", { name: dead.by }) : t(`rb_dead_${dead.why}`))}
          </p>
          <Dials desk={desk} isDead={dead !== null} />
          <p class="hint" id="stick-help">
            {t("rb_stick_help")}
          </p>
          <Told desk={desk} now={now} />
        </section>
        <section class="fleet">
          <h2>{t("rb_list")}</h2>
          {robots.length === 0 && fleet.me !== "" && <p class="empty">{t("rb_no_robots")}</p>}
          <ul>
            {robots.map((robot) => (
              <Card key={robot.id} desk={desk} robot={robot} serverNow={fleet.serverNow(now)} />
            ))}
          </ul>
          <Name desk={desk} />
        </section>
      </div>
    </article>
  );
}

function Troubles({ desk }: { desk: Desk }) {
  desk.changes.value;
  const link = desk.link.value;
  const { storing, skipped, trouble } = desk.fleet;
  return (
    <div role="alert" class="troubles">
      {link.state === "refused" && (
        <p class="told bad" data-trouble="refused">
          {t("rb_refused", { reason: reasonIn(t, link.reason) })}
        </p>
      )}
      {(link.state === "waiting" || (link.state === "connecting" && epoch.value !== null)) && (
        <p class="told bad" data-trouble="no_link">
          {link.state === "waiting" ? t("rb_no_link", { reason: link.reason }) : t("rb_connecting")}
        </p>
      )}
      {storing !== "ok" && (
        <p class="told bad" data-trouble="storing">
          {t("rb_not_stored", { kind: word("storing", storing) })}
        </p>
      )}
      {skipped > 0 && (
        <p class="told warn" data-trouble="skipped">
          {t("rb_skipped", { count: skipped })}
        </p>
      )}
      {trouble && (
        <p class="told warn" data-trouble="error">
          {t("rb_trouble", { reason: trouble })}
        </p>
      )}
    </div>
  );
}
