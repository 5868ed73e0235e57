/**
 * The listener's reasons, which are English, in the words of the page.
 *
 * Pure. What is not known here is shown as the listener said it.
 */

import type { Args, Key } from "../i18n";

type Rule = [RegExp, Key, ...string[]];

const RULES: Rule[] = [
  [/^No Serial Connection$/i, "ms_why_no_serial"],
  [/^Too Many Commands Waiting$/i, "ms_why_too_many"],
  [/^Serial Write Timeout$/i, "ms_why_timeout"],
  [/^(\S+) is not there$/, "ms_why_not_there", "device"],
  [/^(\S+) is in use by another part of the listener$/, "ms_why_in_use_here", "device"],
  [/^cannot open (\S+): another program has it$/, "ms_why_in_use", "device"],
  [/^cannot open (\S+): permission denied; try: (.+)$/, "ms_why_denied", "device", "command"],
  [/^cannot open (\S+): the driver does not answer$/, "ms_why_driver", "device"],
  [/^no serial port with the USB id (\S+)$/, "ms_why_no_usb", "id"],
  [/^no root module answers at (.+)$/, "ms_why_no_root", "devices"],
  [/^no serial port like (.+) to ask$/, "ms_why_no_port", "patterns"],
  [/^(\S+): no answer$/, "ms_why_no_answer", "device"],
  [/^silent for (\S+) s$/, "ms_why_silent", "seconds"],
  [/^heard again$/, "ms_why_again"],
  [/^the root module restarts$/, "ms_why_restarts"],
  [/^the root module has restarted$/, "ms_why_restarted"],
  [/^the network was cleaned$/, "ms_why_cleaned"],
  [/^no word of it in (\S+) s$/, "ms_why_no_word", "seconds"],
  [/^the root module is away$/, "ms_why_root_away"],
  [/^the listener ends$/, "ms_why_ending"],
  [/^too many messages to this node wait$/, "ms_why_waiting"],
  [/^a command that changes something needs a control token$/, "ms_why_token"],
  [/^commands that change something are taken from this computer alone$/, "ms_why_here"],
];

export function reasonIn(t: (key: Key, args?: Args) => string, reason: string): string {
  for (const [pattern, key, ...names] of RULES) {
    const found = pattern.exec(reason);
    if (found) return t(key, Object.fromEntries(names.map((name, index) => [name, found[index + 1]!])));
  }
  return reason;
}
