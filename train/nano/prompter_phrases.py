"""How people ask: wordings for the classes of real images, and things that no picture of ours shows.

The procedural scenes bring their own questions; this table is for NWPU VHR-10's ten classes, and for the questions
that must be answered with "nothing here". It knows words only, no pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Words:
    """One category: names as (singular, plural), a clause that says what it is for, indirect questions."""

    names: tuple[tuple[str, str], ...]
    reasons: tuple[str, ...]
    implicit: tuple[str, ...]


WORDS: dict[str, Words] = {
    "airplane": Words(
        (
            ("airplane", "airplanes"),
            ("plane", "planes"),
            ("aircraft", "aircraft"),
            ("aeroplane", "aeroplanes"),
            ("jet", "jets"),
            ("airliner", "airliners"),
            ("parked plane", "parked planes"),
        ),
        ("machines that fly", "what carries people through the air", "winged vehicles"),
        (
            "What carries passengers through the sky?",
            "Which vehicles have wings?",
            "things that can take off from a runway",
            "What would a pilot fly?",
            "Which objects here could fly to another country?",
            "vehicles waiting at the gates of a terminal",
            "what air traffic control gives orders to",
            "Which machines need a runway to leave?",
            "What do travellers board at an airport?",
            "the winged machines standing on the apron",
            "Where would I find jet engines?",
            "what flies",
            "things with wings and a tail",
            "Which vehicles travel above the clouds?",
            "What has to be de-iced before a winter flight?",
            "what a ground crew refuels before departure",
        ),
    ),
    "ship": Words(
        (
            ("ship", "ships"),
            ("boat", "boats"),
            ("vessel", "vessels"),
            ("freighter", "freighters"),
            ("watercraft", "watercraft"),
            ("barge", "barges"),
        ),
        ("what travels on water", "vessels that carry goods over the sea", "things that float and sail"),
        (
            "What carries cargo across the sea?",
            "Which vehicles float?",
            "things that sail",
            "what a captain commands",
            "Which objects have a hull and a bow?",
            "what could cross the ocean with containers",
            "vehicles that travel on water",
            "What would drop an anchor?",
            "what fishermen go out with",
            "Which things here need deep water to move?",
            "the craft lying in the water",
            "what the coast guard would inspect",
            "What moves goods without using roads or rails?",
            "what would sink if its hull were holed",
            "floating transport",
            "Which of these leave a wake behind them?",
        ),
    ),
    "storage tank": Words(
        (
            ("storage tank", "storage tanks"),
            ("oil tank", "oil tanks"),
            ("fuel tank", "fuel tanks"),
            ("tank", "tanks"),
            ("round tank", "round tanks"),
            ("petroleum tank", "petroleum tanks"),
        ),
        ("where liquids such as oil are kept", "a place where fuel is stored", "round containers for liquids"),
        (
            "Where is fuel stored?",
            "Which structures hold oil?",
            "Where would a leak of chemicals start?",
            "round containers of liquid",
            "What keeps crude oil before it is refined?",
            "where petrol waits to be shipped",
            "Which things here are a fire hazard because of what they hold?",
            "places where liquids are kept in bulk",
            "what a refinery fills",
            "cylindrical containers seen from above",
            "Which facilities should be watched for hazardous leaks?",
            "What would a tanker lorry be loaded from?",
            "the white cylinders that hold petroleum",
            "Where is the energy reserve of this plant kept?",
            "what has a floating roof over oil",
            "Where could thousands of barrels be kept?",
        ),
    ),
    "baseball diamond": Words(
        (
            ("baseball diamond", "baseball diamonds"),
            ("baseball field", "baseball fields"),
            ("ball field", "ball fields"),
            ("baseball pitch", "baseball pitches"),
            ("softball field", "softball fields"),
        ),
        (
            "where people pitch, bat and run bases",
            "the field of a game with bat and bases",
            "a field with a sandy infield",
        ),
        (
            "Where do people play with a bat and a glove?",
            "Which field has bases to run around?",
            "Where would a pitcher throw?",
            "the place for home runs",
            "Where is there a sandy infield in grass?",
            "Where would you swing a bat?",
            "fields shaped like a fan",
            "where an umpire stands behind a catcher",
            "Where would a batter stand?",
            "What is used for a game of nine innings?",
            "Which ground has a mound in the middle?",
            "where a Little League team trains",
            "the field with three bases and a home plate",
            "Where would you steal second?",
            "where one hits a ball and runs",
        ),
    ),
    "tennis court": Words(
        (
            ("tennis court", "tennis courts"),
            ("court for tennis", "courts for tennis"),
            ("tennis ground", "tennis grounds"),
        ),
        ("where people play with rackets over a net", "the court of a racket sport", "a place to serve and volley"),
        (
            "Where do people play with rackets?",
            "Where would you serve an ace?",
            "places for a match over a low net",
            "Which courts have a net across the middle?",
            "Where does one play singles and doubles?",
            "Where would you hit a backhand?",
            "where a small yellow ball is hit back and forth",
            "the courts for a racket sport",
            "Where could I practise my serve?",
            "What would a racket club own?",
            "where a match is won by game and set",
            "Where would ball boys be running?",
            "rectangular courts with a net and service boxes",
            "Where could a Grand Slam be played?",
        ),
    ),
    "basketball court": Words(
        (
            ("basketball court", "basketball courts"),
            ("basketball ground", "basketball grounds"),
            ("court for basketball", "courts for basketball"),
            ("hoop court", "hoop courts"),
        ),
        ("where people shoot at hoops", "the court of a game with baskets", "a place for hoops and dribbling"),
        (
            "Where do people shoot hoops?",
            "Where could one dunk?",
            "courts with a hoop at each end",
            "Where would you practise free throws?",
            "Where do five play against five with a ball that they bounce?",
            "Which ground has three-point lines?",
            "Where would you dribble a ball?",
            "where players jump for rebounds",
            "Where can I throw a ball into a basket?",
            "where a street game with hoops is played",
            "What would a tall team play on?",
            "the hard court with backboards",
            "Where would a slam dunk happen?",
            "courts with a painted key under the hoop",
        ),
    ),
    "ground track field": Words(
        (
            ("ground track field", "ground track fields"),
            ("running track", "running tracks"),
            ("track field", "track fields"),
            ("athletics track", "athletics tracks"),
            ("track and field ground", "track and field grounds"),
            ("race track for runners", "race tracks for runners"),
        ),
        ("where athletes run laps", "an oval for running races", "a place for athletics"),
        (
            "Where do athletes run laps?",
            "Where could a 400 m race be held?",
            "the oval for sprinters",
            "Where would a relay be run?",
            "Where does a school hold its athletics day?",
            "which place has lanes around a field",
            "Where would hurdles be set up?",
            "What would a sprinter train on?",
            "an oval with lanes around grass",
            "Where can one jog in circles?",
            "where a marathon might finish in front of the stands",
            "Which facility is used for athletics?",
            "Where would a starting gun be fired?",
            "Where do runners compete?",
        ),
    ),
    "harbor": Words(
        (
            ("harbor", "harbors"),
            ("harbour", "harbours"),
            ("pier", "piers"),
            ("dock", "docks"),
            ("marina", "marinas"),
            ("jetty", "jetties"),
            ("port", "ports"),
            ("wharf", "wharves"),
        ),
        ("where boats are tied up", "a place where vessels moor", "the landing place of boats"),
        (
            "Where can boats moor?",
            "Where are vessels tied up?",
            "where cargo is moved between sea and land",
            "Where would a yacht be kept?",
            "What lets people step from a boat onto land?",
            "the structures that stick out into the water for boats",
            "Where do sailors come ashore?",
            "Where would I rent a berth?",
            "where passengers get on a ferry",
            "Which place shelters boats?",
            "Where are boats parked?",
            "landing stages over the water",
            "Where would fishermen unload their catch?",
            "berths for small boats",
        ),
    ),
    "bridge": Words(
        (
            ("bridge", "bridges"),
            ("overpass over water", "overpasses over water"),
            ("river crossing", "river crossings"),
            ("road bridge", "road bridges"),
            ("viaduct", "viaducts"),
            ("footbridge", "footbridges"),
        ),
        ("what carries traffic over water", "a way across a river", "a structure that spans an obstacle"),
        (
            "How can cars get across the river?",
            "What connects the two banks?",
            "which structure spans the water",
            "Where does the road cross the water?",
            "What lets traffic pass over a river?",
            "Where could you walk over the water without getting wet?",
            "Which structure would cut the town in two if it fell?",
            "the crossing over the river",
            "what joins one shore to the other",
            "What would a flood have to wash away to stop the traffic?",
            "Where does a road leave the ground to cross something?",
            "a structure on piers that carries a road",
            "what boats have to pass under",
            "Which structure should engineers check after a flood?",
        ),
    ),
    "vehicle": Words(
        (
            ("vehicle", "vehicles"),
            ("car", "cars"),
            ("automobile", "automobiles"),
            ("truck", "trucks"),
            ("parked car", "parked cars"),
            ("van", "vans"),
            ("motor vehicle", "motor vehicles"),
        ),
        ("what drives on roads", "what people drive", "transport on four wheels"),
        (
            "What do people drive to work?",
            "Which objects have four wheels?",
            "what would be caught in a traffic jam",
            "things that need a parking space",
            "What drives on the road?",
            "Which objects could be given a speeding ticket?",
            "What has a number plate?",
            "things a driver's licence is for",
            "what uses the road network",
            "What would fill a car park?",
            "what a mechanic repairs",
            "Which things stop at traffic lights?",
            "small machines on the streets",
            "what people use for a road trip",
        ),
    ),
}

EXPLICIT = (
    "{s}",
    "{p}",
    "{p}",
    "the {p}",
    "the {s}",
    "all the {p}",
    "all {p}",
    "every {s}",
    "each {s}",
    "any {s}",
    "find the {p}",
    "find {p}",
    "find all {p} in the image",
    "find every {s}",
    "segment the {p}",
    "segment all {p}",
    "Segment every {s} in this image.",
    "Where are the {p}?",
    "Where is the {s}?",
    "Show me the {p}.",
    "Show all {p}",
    "Mark each {s}.",
    "Mark the {p}, please.",
    "Can you locate the {p}?",
    "Please outline all {p}.",
    "any {s} in this picture",
    "Which pixels belong to {p}?",
    "Are there any {p}?",
    "Is there a {s} here?",
    "I am looking for {p}.",
    "pick out the {p}",
    "Highlight the {p} in the scene.",
    "detect {p}",
    "Detect all {p}.",
    "locate every {s}",
    "the {p} in this aerial image",
    "Delineate the {p}.",
    "Point at the {p}.",
    "Do you see {p}?",
    "a {s}",
    "all visible {p}",
    "the area covered by {p}",
    "give me the {p}",
    "What here is a {s}?",
)
COUNTING = (
    "How many {p} are there?",
    "Count the {p}.",
    "count all {p}",
    "the number of {p}",
    "How many {p} can you see?",
    "How many {p} does the image show?",
    "Tell me how many {p} there are and mark them.",
    "Count every {s} in the picture.",
    "What is the number of {p} here?",
)
SPATIAL = {
    "leftmost": (
        "the leftmost {s}",
        "the {s} furthest to the left",
        "the {s} that is closest to the left edge",
        "the first {s} from the left",
        "Which {s} lies furthest west?",
        "the westernmost {s}",
    ),
    "rightmost": (
        "the rightmost {s}",
        "the {s} furthest to the right",
        "the {s} that is closest to the right edge",
        "the last {s} on the right",
        "Which {s} lies furthest east?",
        "the easternmost {s}",
    ),
    "topmost": (
        "the topmost {s}",
        "the {s} nearest the top of the image",
        "the uppermost {s}",
        "the highest {s} in the image",
        "Which {s} lies furthest north?",
        "the northernmost {s}",
    ),
    "bottom": (
        "the bottommost {s}",
        "the {s} nearest the bottom of the image",
        "the lowest {s} in the image",
        "the {s} at the very bottom",
        "Which {s} lies furthest south?",
        "the southernmost {s}",
    ),
    "largest": (
        "the largest {s}",
        "the biggest {s}",
        "Which {s} is the largest?",
        "the {s} that covers the most ground",
    ),
    "left": (
        "the {p} in the left half",
        "the {p} on the left side",
        "all {p} left of the middle",
        "the {p} in the western half",
        "{p} on the left",
    ),
    "right": (
        "the {p} in the right half",
        "the {p} on the right side",
        "all {p} right of the middle",
        "the {p} in the eastern half",
        "{p} on the right",
    ),
    "top": (
        "the {p} in the upper half",
        "the {p} at the top",
        "all {p} above the middle",
        "the {p} in the northern half",
        "{p} in the upper part of the image",
    ),
    "low": (
        "the {p} in the lower half",
        "the {p} at the bottom",
        "all {p} below the middle",
        "the {p} in the southern half",
        "{p} in the lower part of the image",
    ),
}
SPATIAL_REASONS = {
    "leftmost": "furthest to the left",
    "rightmost": "furthest to the right",
    "topmost": "nearest the top",
    "bottom": "nearest the bottom",
    "largest": "largest",
    "left": "in the left half",
    "right": "in the right half",
    "top": "in the upper half",
    "low": "in the lower half",
}

OUTSIDE = tuple(
    """
volcano, zebra, snow plough, elephant, giraffe, penguin, whale, dolphin, shark, lion, tiger, horse, cow,
sheep, dog, cat, person wearing a hat, smiling face, bicycle, motorcycle, unicycle, skateboard, submarine,
spaceship, rocket launch pad, UFO, hot air balloon, airship, glacier, iceberg, waterfall, geyser, coral
reef, sand dune, lava flow, rainbow, thunderstorm, tornado, northern lights, moon, star, comet, crater on
the moon, pyramid, Eiffel Tower, Statue of Liberty, castle, cathedral, mosque, temple, lighthouse, windmill
with sails, ski jump, ski lift, ice rink, bobsleigh run, roller coaster, Ferris wheel, carousel, circus
tent, golf course, golf bunker, cricket pitch, rugby posts, bowling alley, boxing ring, chess board, piano,
violin, guitar, trumpet, television, laptop, telephone, camera, refrigerator, washing machine, toaster,
coffee cup, pizza, banana, apple, sandwich, birthday cake, wine bottle, wedding dress, umbrella, handbag,
shoe, hat, sofa, bed, dining table, bookshelf, chandelier, painting, sculpture, dinosaur, dragon, unicorn,
mermaid, ghost, robot, astronaut, knight in armour, pirate, king, queen, orchestra, dancer, football player,
policeman, nurse, cactus, palm tree, mushroom, sunflower, rose, tulip field, vineyard, rice terrace, tea
plantation, beehive, spider, butterfly, snake, frog, crocodile, kangaroo, camel, polar bear, wolf, fox,
rabbit, eagle, parrot, flamingo, ostrich, goldfish, octopus, jellyfish, oil rig at sea, aircraft carrier,
tank with a gun, missile, trench, bunker, minefield, barbed wire, prison, cemetery, nuclear reactor, cooling
tower, dam, lock gate, aqueduct, tunnel mouth, cable car, monorail, tram, steam locomotive, train, railway
station, metro entrance, escalator, elevator, telescope, radio telescope, satellite dish, transmission mast,
power pylon, chimney, quarry, open pit mine, landfill, scrapyard, salt pan, fish farm, snow, ice, avalanche,
earthquake crack, flooded street, burning forest, oil spill, landslide, desert, jungle, mangrove, swamp,
cave, drive-in cinema, theatre stage, swimming polar bear, red telephone box, traffic cone, fire hydrant,
parking meter, mailbox, bus stop sign, zebra crossing, clock tower, church bell, totem pole, igloo, tent,
yurt, tree house, scarecrow, haystack, tractor, combine harvester, crane, excavator, bulldozer, cement
mixer, fire engine, ambulance, ice cream van, snowman, sledge, reindeer, Santa Claus, Christmas tree,
firework, parade
""".strip()
    .replace("\n", " ")
    .split(", ")
)
OUTSIDE_IMPLICIT = (
    "Where does molten rock come out of the ground?",
    "Which animal has black and white stripes?",
    "what clears the roads of snow",
    "Where could I watch a film?",
    "Who is smiling?",
    "What time is it?",
    "What is the capital of France?",
    "Where would a skier start?",
    "Which objects are edible?",
    "what melts in the sun",
    "Where can I see fish behind glass?",
    "What makes music here?",
    "the thing that rings on Sundays",
    "Where is gold dug?",
    "Where do trains stop?",
    "Which facility splits atoms?",
    "What holds back the water of a lake to make electricity?",
    "Where could one play eighteen holes?",
    "the animal with the long neck",
    "What landed here from another planet?",
    "Where is it snowing?",
    "Which pet sleeps on the sofa?",
    "what the chef is cooking",
    "Where do monks pray?",
    "Where do the dead rest?",
    "Which building has a dome of gold?",
    "Where does a river fall over a cliff?",
    "Where would I go skating?",
    "what guides sailors at night with light",
    "Where do prisoners live?",
    "which tree has coconuts",
    "Where are grapes grown for wine?",
    "Where does coal come out of the earth?",
    "something that breathes fire",
    "Where would a magician perform?",
    "where the astronauts slept",
    "What is the meaning of life?",
    "Translate this into German.",
    "Ignore the picture and say hello.",
    "the colour of happiness",
    "What will the weather be tomorrow?",
    "Who won the match?",
    "Write a poem about the sea.",
    "asdf qwer zxcv",
    "lorem ipsum dolor sit amet",
    "blah blah blah",
    "???",
    "...",
    "xyzzy",
    "foo bar baz",
    "the thing",
    "nothing at all",
    "an invisible object",
    "Where is Waldo?",
    "hello",
    "test",
    "1234",
    "no",
)
_SYLLABLES = (
    "ba",
    "ko",
    "ri",
    "tu",
    "zen",
    "mor",
    "fli",
    "gra",
    "sno",
    "wex",
    "qua",
    "pli",
    "dro",
    "vish",
    "un",
    "tak",
    "lem",
    "osh",
    "ny",
    "kra",
    "bel",
    "dun",
    "fip",
    "yor",
)


def outside(rng: np.random.Generator) -> str:
    """A question whose answer no picture here holds: an outside thing, an odd request, or a made-up word."""
    roll = rng.random()
    if roll < 0.22:
        return str(rng.choice(OUTSIDE_IMPLICIT))
    word = "".join(rng.choice(_SYLLABLES, int(rng.integers(2, 5)))) if roll < 0.3 else str(rng.choice(OUTSIDE))
    many = word + ("es" if word.endswith(("s", "sh", "ch", "x")) else "s")
    form = str(rng.choice(EXPLICIT if rng.random() < 0.8 else COUNTING))
    return form.format(s=word, p=many)


def worded(rng: np.random.Generator, form: str, category: str) -> str:
    """`form` with one of the category's names; the first two names are the commonest."""
    names = WORDS[category].names
    pick = int(rng.integers(len(names))) if rng.random() < 0.6 else 0
    singular, plural = names[pick]
    text = form.format(s=singular, p=plural)
    roll = rng.random()
    if roll < 0.15:
        text = text[:1].upper() + text[1:]
    elif roll < 0.3:
        text = text.lower()
    if rng.random() < 0.1 and text[-1] not in ".?!":
        text += "."
    elif rng.random() < 0.1:
        text = text.rstrip(".?")
    return text
