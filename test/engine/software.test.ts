import { engineContract, engineSocketContract } from "./contract.ts";
import { SoftwareLab } from "./software-lab.ts";

engineContract("software", () => new SoftwareLab());
engineSocketContract("software", () => new SoftwareLab());
