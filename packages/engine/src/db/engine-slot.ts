/** The engine behind a database and its handles. A restore puts another one in its place. */
export interface EngineSlot<Engine> {
  engine: Engine
}
