/**
 * The listener's reasons, which are English sentences, in the words of the page.
 *
 * Pure. What is not known here is shown as the listener said it.
 */

import type { Args, Key } from "../i18n";

type Rule = [RegExp, Key, ...string[]];

const RULES: Rule[] = [
  [/^(.+) is operated by (.+)$/, "rb_why_operated", "robot", "name"],
  [/^(.+): let go of the stick first$/, "rb_why_let_go", "robot"],
  [/^the listener was held up: this comes too late$/, "rb_why_held_up_late"],
  [/^the listener was held up$/, "rb_why_held_up"],
  [/^no robot is connected$/, "rb_why_nobody"],
  [/^no robot of (.+) is connected$/, "rb_why_nobody_of", "group"],
  [/^there is no group (.+); see \[robots\.groups\]$/, "rb_why_no_group", "group"],
  [/^(\S+) is not connected$/, "rb_why_gone", "robot"],
  [/^a command that changes something needs a control token$/, "rb_why_token"],
  [/^commands that change something are taken from this computer alone$/, "rb_why_here"],
  [/^it is not yours$/, "rb_why_not_yours"],
  [/^stopped by (.+)$/, "rb_why_stopped_by", "name"],
  [/^taken by (.+)$/, "rb_why_taken_by", "name"],
  [/^nobody has repeated the move$/, "rb_why_not_repeated"],
  [/^nothing was commanded any more$/, "rb_why_idle"],
  [/^the robot has disconnected$/, "rb_why_robot_left"],
  [/^it has connected anew$/, "rb_why_anew"],
  [/^its deadline has passed$/, "rb_why_late"],
  [/^a newer one has taken its place$/, "rb_why_newer"],
  [/^the listener is stopping$/, "rb_why_ending"],
  [/^released$/, "rb_why_released"],
  [/^(.+) has left$/, "rb_why_left", "name"],
];

/** Several of them are separated by a semicolon. */
export function reasonIn(t: (key: Key, args?: Args) => string, reason: string): string {
  const several = reason.startsWith("there is no group") ? [reason] : reason.split("; ");
  return several.map((each) => told(t, each) ?? each).join("; ");
}

function told(t: (key: Key, args?: Args) => string, reason: string): string | null {
  for (const [pattern, key, ...names] of RULES) {
    const found = pattern.exec(reason);
    if (found) return t(key, Object.fromEntries(names.map((name, index) => [name, found[index + 1]!])));
  }
  return null;
}
