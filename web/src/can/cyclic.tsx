/** What is sent again and again, on every bus and by whomever, and stopping it. */

import { bench, tryTo } from "../bench";
import { number } from "../format";
import { t } from "../i18n";
import { idText, octetsText } from "./frame_form";
import { usePoll } from "../poll";
import { remove } from "../rest";
import type { Cyclic } from "./sending";
import { cyclics, cyclicsOld, ownerOf, readCyclics } from "./sending";

const EVERY_MS = 1500;

export function Cyclics() {
  usePoll(readCyclics, EVERY_MS);
  const tasks = cyclics.value;
  return (
    <div class="cyclics">
      <h2>{t("wb_cyclic_title")}</h2>
      {cyclicsOld.value && (
        <p class="told bad" role="alert">
          {t("wb_cyclics_old")}
        </p>
      )}
      {tasks !== null && !tasks.length && <p class="hint">{t("wb_no_cyclic")}</p>}
      {tasks !== null && tasks.length > 0 && (
        <div class="scroll" tabIndex={0} role="group" aria-label={t("wb_cyclic_title")}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t("can_bus")}</th>
                <th scope="col">{t("wb_what")}</th>
                <th scope="col" class="figure">
                  ms
                </th>
                <th scope="col">{t("wb_whose")}</th>
                <th scope="col">
                  <span class="for-readers">{t("actions")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {tasks.map((task) => (
                <Row key={task.id} task={task} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function Row({ task }: { task: Cyclic }) {
  const owner = ownerOf(task);
  const name = `${task.name} ${idText(task.can_id, task.is_extended)}`.trim();
  const stop = async () => {
    await tryTo(remove(`/cyclic/${task.id}`));
    await readCyclics();
  };
  return (
    <tr data-task={task.id}>
      <td>{task.bus}</td>
      <td>
        <span class="octets">{idText(task.can_id, task.is_extended)}</span> {task.name}{" "}
        <span class="octets faint">{octetsText(task.data)}</span>
        {!task.running && <strong class="wrong"> {task.error ? t("wb_task_failed", { reason: task.error }) : t("wb_task_rests")}</strong>}
      </td>
      <td class="figure">{number(task.period_ms, Number.isInteger(task.period_ms) ? 0 : 1)}</td>
      <td>
        {owner === "here" && t("wb_of_this_page")}
        {owner === "other" && t("wb_of_client", { client: task.client })}
        {owner === "pinned" && t("wb_is_pinned")}
      </td>
      <td class="actions">
        <button type="button" disabled={!bench.value.mayChange} aria-label={`${t("wb_stop")}, ${name}`} onClick={() => void stop()}>
          {t("wb_stop")}
        </button>
      </td>
    </tr>
  );
}
