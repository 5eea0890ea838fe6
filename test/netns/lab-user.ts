/** A program that makes a lab with a running child, and then ends as its argument says. */
import { Lab } from "../../lab/lab.ts";

const [run = "", ending = ""] = process.argv.slice(2);
const lab = await Lab.create(`cleanup-${run}`);
const site = await lab.addSite("a");
// the first child leaves a grandchild behind that holds its streams
site.start(["sh", "-c", "sleep 1000 & sleep 1000"]);
if (ending === "fail") throw new Error("failed on purpose");
if (ending === "remove") await lab.remove();
else console.log("made");
