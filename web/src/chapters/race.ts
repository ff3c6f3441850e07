// What each task teaches in the same time: three networks that differ in nothing else.
import { t } from "../strings";
import { contest, type Contestant } from "./contest";

const racer = (objective: "mlm" | "electra_15" | "rtd", style: number): Contestant => ({
  key: objective,
  name: () => t().learn.racers[objective],
  style,
  ...(objective === "rtd" ? { kind: "replaced" } : {}),
  ask: { objective },
});

export const race = contest(
  () => ({ title: t().learn.figure.race, note: t().learn.figure.raceNote, end: t().learn.figure.raceEnd }),
  [racer("mlm", 3), racer("electra_15", 1), racer("rtd", 0)],
);
