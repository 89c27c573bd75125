/** Names for containers that were given none: an adjective and an animal, as people remember and type them. */
import { randomInt } from 'node:crypto';

const ADJECTIVES =
  'able agile amber bold brave brisk calm candid careful cheerful clever cosy crisp curious daring deft eager early fair fine fleet fond free fresh gentle glad golden grand green handy happy hardy hasty honest jolly keen kind lively lucky mellow merry mild neat nimble noble patient plain proud quick quiet rapid ready sharp silent silver sleek smart snug solid steady sunny sure swift tidy tiny true warm wise witty';
const ANIMALS =
  'badger beaver bison bittern bream camel carp cicada cod condor coot crane cricket curlew deer dipper dove duck eel egret elk falcon ferret finch fox gannet gecko goose grebe gull hare hawk hen heron hoopoe horse ibis jackdaw jay kite lark linnet lizard llama lynx magpie marmot marten mole moose moth newt orca osprey otter owl panda perch pike plover puffin quail raven robin rook salmon seal shrew snipe stoat stork swan swift tapir tern thrush toad trout turtle vole walrus weasel whale wolf wren yak zebra';

const ATTEMPTS = 20;

/** @param isTaken whether a container has the name */
export function friendlyName(isTaken: (name: string) => boolean): string {
  const pick = (words: readonly string[]) => words[randomInt(words.length)] ?? '';
  let name = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    name = `${pick(ADJECTIVES.split(' '))}_${pick(ANIMALS.split(' '))}`;
    if (!isTaken(name)) return name;
  }
  // Nearly all are taken.
  return `${name}_${randomInt(100_000, 1_000_000)}`;
}
