import { engineContract } from "../engine/contract.ts";
import { NativeLab } from "./native-lab.ts";

engineContract("native", () => new NativeLab());
