import { engineContract, engineSocketContract } from "../engine/contract.ts";
import { NativeLab } from "./native-lab.ts";

engineContract("native", () => new NativeLab());
engineSocketContract("native", () => new NativeLab());
