import { engineContract } from "./contract.ts";
import { SoftwareLab } from "./software-lab.ts";

engineContract("software", () => new SoftwareLab());
