import { describe } from "vitest";
import { itSurvivesChurn } from "./churn-seeds.ts";

describe("swarm: joins, crashes, restarts, freezes and cuts for ten virtual minutes", () => {
  itSurvivesChurn(0);
});
