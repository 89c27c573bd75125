/**
 * Compares what should be with what is: the journal and the container records against the kernel's devices and rules, the
 * files of addresses and names, and the ports that the parent holds. Reports the differences, or repairs them. Each store
 * knows how to sweep itself; the order is that of the parts given.
 */
import type { GarbageReport } from '../../../../protocol/containers/types.js';
import { errorText } from '../../../../protocol/errors/error-text.js';
import type { LiveContainers, ReportGarbage, Sweepable } from '../../storage/sweepable.js';

/** What is repaired: nothing, what can be repaired without loss, or also directories whose record cannot be parsed. */
export type Repairs = 'none' | 'safe' | 'all';

export class GarbageCollector {
  constructor(
    private readonly parts: readonly Sweepable[],
    private readonly containers: LiveContainers,
    /** Resolves when nothing is being removed that would be found. */
    private readonly settled: () => Promise<void>,
    private readonly warn: (line: string) => void,
  ) {}

  /** Resolves with what was found, in the order in which it was. */
  async run(repairs: Repairs): Promise<GarbageReport[]> {
    await this.settled();
    const repair = repairs !== 'none';
    const found: GarbageReport[] = [];
    const report: ReportGarbage = async (kind, what, task) => {
      let repaired = false;
      if (repair) {
        try {
          await task();
          repaired = true;
        } catch (error) {
          this.warn(`cannot repair ${what}: ${errorText(error)}`);
        }
      }
      found.push({ kind, what, repaired });
    };
    for (const part of this.parts) {
      await part.sweep({ containers: this.containers, report, repair, safe: repairs === 'safe' });
    }
    return found;
  }
}
