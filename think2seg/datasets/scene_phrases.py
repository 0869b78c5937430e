"""The wordings of the questions about procedural scenes.

Every pool is ordered: its last fifth is held out of training (`split`). `{one}` and `{many}` stand for a name of
the category, `{other}` for another category. It does not know scenes.
"""

from __future__ import annotations

from collections.abc import Sequence

# fmt: off
NAMES: dict[str, tuple[tuple[str, str], ...]] = {
    "airplane": (("airplane", "airplanes"), ("plane", "planes"), ("aircraft", "aircraft")),
    "ship": (("ship", "ships"), ("vessel", "vessels"), ("boat", "boats")),
    "storage tank": (("storage tank", "storage tanks"), ("tank", "tanks")),
    "baseball diamond": (("baseball diamond", "baseball diamonds"), ("baseball field", "baseball fields")),
    "tennis court": (("tennis court", "tennis courts"),),
    "basketball court": (("basketball court", "basketball courts"),),
    "ground track field": (("ground track field", "ground track fields"), ("running track", "running tracks")),
    "harbor": (("harbor", "harbors"), ("harbour", "harbours")),
    "bridge": (("bridge", "bridges"),),
    "vehicle": (("vehicle", "vehicles"), ("car", "cars")),
    "building": (("building", "buildings"),),
    "swimming pool": (("swimming pool", "swimming pools"), ("pool", "pools")),
    "pond": (("pond", "ponds"),),
    "solar farm": (("solar farm", "solar farms"), ("field of solar panels", "fields of solar panels")),
    "helipad": (("helipad", "helipads"), ("heliport", "heliports")),
    "roundabout": (("roundabout", "roundabouts"), ("traffic circle", "traffic circles")),
    "soccer field": (("soccer field", "soccer fields"), ("football pitch", "football pitches")),
    "greenhouse": (("greenhouse", "greenhouses"), ("glasshouse", "glasshouses")),
    "wind turbine": (("wind turbine", "wind turbines"), ("windmill", "windmills")),
    "farm field": (("farm field", "farm fields"), ("crop field", "crop fields")),
}
"""The names of each category, one and many; the first is its own."""

EXPLICIT: tuple[str, ...] = (
    "the {many}", "{many}", "all {many}", "all {many} in the image", "every {one}", "segment the {many}",
    "segment all {many}", "segment every {one} in the image", "find the {many}", "find all {many}",
    "mark every {one}", "show me the {many}", "where are the {many}?", "outline each {one}",
    "highlight the {many}", "each {one} in this picture", "point out the {many}", "any {one} here",
    "locate every {one} you can see", "which pixels belong to {many}?", "please mask all the {many}",
    "draw around the {many} in this scene",
)
EXPLICIT_ONE: tuple[str, ...] = (
    "the {one}", "segment the {one}", "find the {one}", "where is the {one}?", "mark the {one}",
    "show me the {one}", "outline the {one}", "the {one} in the image", "locate the one {one}",
    "please mask the {one}",
)
COUNTING: tuple[str, ...] = (
    "how many {many} are there?", "how many {many} are there? mark each", "count the {many}",
    "count all {many}", "how many {many} can you see?", "count every {one} and mark it",
    "how many {many} does the image show?", "number of {many}", "what is the number of {many}? mark them",
    "count the {many} in this picture", "mark and count the {many}", "how many {many} are in the image?",
    "how many {many} in total?", "tell me how many {many} there are", "count each {one}",
    "give the count of {many}, one mask for each", "how many {many} have you found?", "tally the {many}",
    "what does a count of the {many} come to?",
)

SPATIAL: dict[str, tuple[str, ...]] = {
    "leftmost": (
        "the leftmost {one}", "the {one} farthest to the left", "segment the leftmost {one}",
        "which {one} is leftmost?", "the {one} nearest the left edge", "find the {one} on the far left",
    ),
    "rightmost": (
        "the rightmost {one}", "the {one} farthest to the right", "segment the rightmost {one}",
        "which {one} is rightmost?", "the {one} nearest the right edge", "find the {one} on the far right",
    ),
    "topmost": (
        "the topmost {one}", "the {one} nearest the top of the image", "segment the uppermost {one}",
        "which {one} is highest in the image?", "the {one} nearest the top edge",
        "find the {one} at the very top",
    ),
    "bottommost": (
        "the bottommost {one}", "the {one} nearest the bottom of the image", "segment the lowest {one}",
        "which {one} is lowest in the image?", "the {one} nearest the bottom edge",
        "find the {one} at the very bottom",
    ),
    "largest": (
        "the largest {one}", "the biggest {one}", "segment the largest {one}", "which {one} is largest?",
        "the {one} that covers the most ground", "find the {one} of the greatest size",
    ),
    "smallest": (
        "the smallest {one}", "the tiniest {one}", "segment the smallest {one}", "which {one} is smallest?",
        "the {one} that covers the least ground", "find the {one} of the least size",
    ),
    "central": (
        "the {one} nearest the center", "the {one} closest to the middle of the image",
        "segment the most central {one}", "which {one} is nearest the center?", "the central {one}",
        "find the {one} closest to the image's midpoint",
    ),
    "in the upper left": (
        "the {n} in the upper left", "the {n} in the top left quarter", "segment the {n} at the upper left",
        "find the {n} at the top left", "show the {n} in the upper left part",
        "point to the {n} at the top left",
    ),
    "in the upper right": (
        "the {n} in the upper right", "the {n} in the top right quarter",
        "segment the {n} at the upper right", "find the {n} at the top right",
        "show the {n} in the upper right part", "point to the {n} at the top right",
    ),
    "in the lower left": (
        "the {n} in the lower left", "the {n} in the bottom left quarter",
        "segment the {n} at the lower left", "find the {n} at the bottom left",
        "show the {n} in the lower left part", "point to the {n} at the bottom left",
    ),
    "in the lower right": (
        "the {n} in the lower right", "the {n} in the bottom right quarter",
        "segment the {n} at the lower right", "find the {n} at the bottom right",
        "show the {n} in the lower right part", "point to the {n} at the bottom right",
    ),
    "in the left half": (
        "the {n} in the left half", "the {n} on the left side", "segment the {n} in the left half",
        "find the {n} on the left", "the {n} left of the middle",
    ),
    "in the right half": (
        "the {n} in the right half", "the {n} on the right side", "segment the {n} in the right half",
        "find the {n} on the right", "the {n} right of the middle",
    ),
    "in the upper half": (
        "the {n} in the upper half", "the {n} in the top half", "segment the {n} in the upper half",
        "find the {n} in the upper part", "the {n} above the middle",
    ),
    "in the lower half": (
        "the {n} in the lower half", "the {n} in the bottom half", "segment the {n} in the lower half",
        "find the {n} in the lower part", "the {n} below the middle",
    ),
    "nearest": (
        "the {one} nearest the {other}", "the {one} closest to the {other}",
        "segment the {one} next to the {other}", "which {one} is nearest the {other}?",
        "find the {one} with the least distance to the {other}",
    ),
}
"""`{n}` is {one} or {many}, as many as there are."""

REASONS: dict[str, str] = {
    "airplane": "airplanes fly people and cargo",
    "ship": "ships carry people and cargo over water",
    "storage tank": "storage tanks hold fuel and chemicals",
    "baseball diamond": "baseball is played on a baseball diamond",
    "tennis court": "tennis is played on a tennis court",
    "basketball court": "basketball is played on a basketball court",
    "ground track field": "runners race on a ground track field",
    "harbor": "ships tie up at a harbor",
    "bridge": "a bridge carries a road over water",
    "vehicle": "vehicles drive on roads and park in lots",
    "building": "people live and work in buildings",
    "swimming pool": "people swim in a swimming pool",
    "pond": "a pond is still water on land",
    "solar farm": "a solar farm turns sunlight into power",
    "helipad": "helicopters land on a helipad",
    "roundabout": "traffic goes around a roundabout",
    "soccer field": "soccer is played on a soccer field",
    "greenhouse": "plants grow under glass in a greenhouse",
    "wind turbine": "wind turbines make power from wind",
    "farm field": "crops grow on farm fields",
}

IMPLICIT: dict[str, tuple[str, ...]] = {
    "airplane": (
        "what can take off and fly?", "what carries passengers through the sky?",
        "which things here have wings?", "what would a pilot fly from one city to another?",
        "what takes travelers across oceans by air?", "what needs a runway to leave?",
        "where would passengers board for a flight?", "what has wings and a tail?",
        "things that fly once they leave the ground", "what might be refueled before a long flight?",
        "what does an airline own?", "what moves people through the air?",
        "which objects could climb above the clouds?", "what would a flight crew climb into?",
        "what belongs to air travel and has engines under its wings?",
    ),
    "ship": (
        "what floats and carries cargo?", "what sails on the water?",
        "what would a captain steer across the sea?", "what moves goods over water?",
        "which things could sink?", "what leaves a wake behind it?", "what carries people over the sea?",
        "what has a hull and a deck?", "what could carry containers overseas?",
        "what would a sailor work on?", "things that travel on water", "what drops an anchor?",
        "which objects have a bow and a stern?", "what would a fishing crew head out in?",
        "what gets from one port to the next?",
    ),
    "storage tank": (
        "what holds fuel or chemicals?", "where is oil stored?", "where would a refinery keep its liquids?",
        "what stores large amounts of liquid in round steel walls?", "where is gasoline kept in bulk?",
        "what could leak oil if it broke?", "what would a fuel truck be filled from?",
        "where is crude oil kept?", "round containers for liquid",
        "where do petrol and diesel wait to be delivered?", "what holds the liquid reserves of a plant?",
        "what do pipelines fill?", "which structures keep petroleum in reserve?",
        "what would be a fire hazard full of oil?", "where is bulk liquid cargo held on land?",
    ),
    "baseball diamond": (
        "where would a pitcher throw to a batter?", "where are home runs hit?",
        "where do people play baseball?", "where would players run from base to base?",
        "what place has a pitcher's mound?", "where would a batter stand at home plate?",
        "where do innings get played?", "where would an umpire call strikes?",
        "what ground has an infield of dirt?", "where could a softball team train?",
        "where are bases stolen?", "what place is made for bat and glove?", "where would a catcher crouch?",
        "where could somebody slide into second base?", "what place would a shortstop know?",
    ),
    "tennis court": (
        "where do people play with rackets over a net?", "where could someone serve an ace?",
        "where is tennis played?", "where would two players hit a ball over a low net?",
        "where do singles and doubles matches take place?", "where would a racket be useful?",
        "where could a match go to deuce?", "what place has a net across its middle and service boxes?",
        "where would you practice your backhand?", "where is a set won six games to four?",
        "what place is made for racket sport?", "where do players rally from the baseline?",
        "where could somebody train for Wimbledon?", "where would a double fault happen?",
        "what surface is made for forehands and volleys?",
    ),
    "basketball court": (
        "where do people shoot hoops?", "where would a team dribble and dunk?",
        "where is basketball played?", "where could someone score a three-pointer?",
        "what place has a hoop at each end?", "where would a free throw be taken?",
        "where do players bounce a ball and shoot at a basket?", "where could you practice layups?",
        "where would a slam dunk happen?", "what place is made for five players a side and two hoops?",
        "where does a jump ball start the game?", "where would a point guard play?",
        "where could friends play three on three?", "what surface has a key and a three-point line?",
        "where would a rebound be fought for?",
    ),
    "ground track field": (
        "where do athletes run laps?", "where could a sprint race be held?",
        "where would runners race in lanes?", "where is the 400 meters run?",
        "what oval is made for running?", "where would a relay be run?",
        "where do people train for a footrace?", "where could hurdles be set up?",
        "where would an athletics meet take place?", "where does a runner go round the bend?",
        "what place has running lanes?", "where could a school hold its running races?",
        "where would a sprinter use starting blocks?", "where could a marathon runner do interval training?",
        "which place is for track and field?",
    ),
    "harbor": (
        "where do ships tie up?", "where could a boat dock?", "where would a ship be unloaded?",
        "where can vessels moor?", "what piers reach into the water for boats?",
        "where would sailors step ashore?", "where are boats kept along piers?",
        "what shelters ships at rest?", "where would a ferry land?", "where does cargo come off a ship?",
        "what do boats tie their ropes to?", "where could a yacht berth?",
        "where would a dock worker be busy?", "what structure lets people board a boat?",
        "where is a ship made fast?",
    ),
    "bridge": (
        "how do cars get over the water?", "what crosses the river?", "what lets traffic cross the water?",
        "what links the two banks?", "what carries a road over water?",
        "where can people cross the water on foot?", "what spans the water?",
        "what would be cut off if a flood took it?", "what joins both shores?",
        "where does the road pass over the water?", "what lets a truck reach the other bank?",
        "what structure stands over the water for traffic?", "how could someone walk to the opposite bank?",
        "what would an engineer check for load over the river?", "which structure do boats pass under?",
    ),
    "vehicle": (
        "what drives on roads?", "what would be parked in a lot?", "what do people drive to work?",
        "what runs on four wheels?", "what could be stuck in a traffic jam?",
        "what has a steering wheel and tires?", "what would stop at a red light?",
        "what could a driver get into?", "what carries a family along a street?",
        "what needs a parking space?", "what moves along a street?", "what needs a license plate?",
        "what would a traffic warden check?", "what would queue at a toll booth?",
        "which things have headlights and wheels?",
    ),
    "building": (
        "where do people live or work indoors?", "what has a roof, walls and rooms?",
        "where could people shelter from rain indoors?", "where would an office or a home be?",
        "what has a front door and a chimney or a flat roof?",
        "what would an architect design for people to live in?", "where do people sleep at night?",
        "what has floors and stairs inside?", "where could furniture be found?",
        "what would have a street address?", "where is a family at home?", "what has rooms under a roof?",
        "where would a letter be delivered?", "what would a tenant rent to live in?",
        "where are people indoors with walls around them?",
    ),
    "swimming pool": (
        "where do people swim?", "where could someone dive in on a hot day?",
        "what is filled with clean blue water for bathing?", "where would swimmers do laps in water?",
        "where can children splash in the backyard?", "what needs chlorine?",
        "where would a lifeguard watch bathers?", "where could you take a dip?",
        "what holds water for fun in a garden?", "where is swimming taught?",
        "where would someone cool off in summer?", "what is tiled and full of water?",
        "where would goggles and a swimsuit be of use?",
        "what would be drained and cleaned before the bathing season?",
        "where could someone practice the butterfly stroke?",
    ),
    "pond": (
        "where could ducks live?", "where would frogs breed?",
        "what is a small body of still natural water?",
        "where could someone fish on land, far from the sea?", "where would water lilies grow?",
        "where do animals come to drink?", "what collects rain in a hollow?",
        "where could reeds grow at the bank?", "what natural water lies in the ground here?",
        "where would dragonflies hover?", "what might freeze over in winter for skating?",
        "where would a heron hunt?", "where could tadpoles be found?",
        "what small water might dry up in a drought?", "where would geese land?",
    ),
    "solar farm": (
        "what turns sunlight into electricity?", "what makes power from the sun?",
        "where are rows of panels facing the sun?", "what would stop producing at night?",
        "what collects sunlight for the grid?", "where is solar energy made?",
        "what works best on a cloudless day?", "what has photovoltaic cells?",
        "where is light turned into current?", "what would be cleaned of dust so as to catch more sun?",
        "what makes power without moving parts?", "where do panels tilt to the sun?",
        "what feeds on daylight to make power?", "what would an eclipse switch off?",
        "which site harvests the sun?",
    ),
    "helipad": (
        "where could a helicopter land?", "where would an air ambulance set down?",
        "what place is marked with an H?", "where can a chopper take off?",
        "where would a rescue helicopter wait?", "what is made for landing straight down?",
        "where could a patient be flown in by helicopter?", "what marked spot is for rotor aircraft?",
        "where does a helicopter touch down?", "where would rotor blades spin before lift-off?",
        "what landing place needs no runway?", "where would a helicopter pilot aim?",
        "where could a medevac flight arrive?", "what spot must stay clear for rotorcraft?",
        "which pad is meant for vertical landing?",
    ),
    "roundabout": (
        "where do cars circle an island?", "where does traffic go round in a ring?",
        "what junction has no traffic lights but a circle?", "where would a driver give way and go round?",
        "where can a car make a U-turn by going around?", "what circular junction joins the roads?",
        "where do roads meet in a ring?", "what keeps traffic moving around a center?",
        "where would a driver take the third exit?", "where do all cars turn the same way round an island?",
        "what makes cars slow down and circle?", "what round crossing joins several roads?",
        "where might a lost driver go round twice?", "which junction is shaped like a ring?",
        "where do drivers yield to those circling?",
    ),
    "soccer field": (
        "where could a goalkeeper defend a goal?", "where would eleven play eleven with a round ball?",
        "where is a penalty kick taken?", "where is soccer played?",
        "where would a striker score with his foot?", "what grass has a center circle and penalty boxes?",
        "where could a corner kick be taken?", "where would a header be scored?",
        "where could a World Cup match be played?", "where is offside called?",
        "what pitch has a goal at each end?", "where do teams kick a ball for ninety minutes?",
        "where would a midfielder play?", "where might a free kick curl over a wall of players?",
        "which ground is for kicking a ball into goals?",
    ),
    "greenhouse": (
        "where do plants grow under glass?", "where could tomatoes grow in winter?",
        "what keeps seedlings warm under a clear roof?", "what traps the sun's warmth for plants?",
        "where would flowers be grown indoors?", "what has a roof of glass for plants?",
        "where are vegetables sheltered from frost?", "where would a gardener raise seedlings in the cold?",
        "what lets light in and keeps warmth in for crops?", "where could tropical plants survive?",
        "where is the air kept warm and moist for plants?", "where are cucumbers grown under cover?",
        "what shields plants with panes?", "where would orchids be raised out of the cold?",
        "which structures are for growing under a transparent cover?",
    ),
    "wind turbine": (
        "what turns wind into electricity?", "what has three long blades?", "what spins when it is windy?",
        "what makes power on a windy day?", "what tall tower has a rotor?",
        "what would stand still in calm air?", "where is wind energy made?",
        "what has blades that turn in the breeze?", "what harvests the wind?",
        "what needs a steady breeze to be useful?", "what mast carries a spinning rotor?",
        "what makes power from moving air?", "what would be braked in a storm?",
        "which machines live off gusts?", "what could birds collide with while it spins?",
    ),
    "farm field": (
        "where do crops grow in the open?", "where would a farmer plough?",
        "where could wheat or corn be harvested?", "what land is sown in spring?",
        "where would a tractor work?", "where would a combine harvester drive?",
        "what land is planted in rows?", "where does grain come from?",
        "what land needs irrigation and fertilizer?", "where would a scarecrow stand?",
        "where are seeds sown in furrows?", "what land feeds people with grain?",
        "which land would a drought ruin for a farmer?", "where is the harvest brought in from?",
        "what would be fallow one year and planted the next?",
    ),
}
# fmt: on


def split(pool: Sequence[str], unseen: bool) -> tuple[str, ...]:
    """The part of a pool for training, or the last fifth (at least one) that is held out of it."""
    held = max(1, round(len(pool) / 5))
    return tuple(pool[-held:] if unseen else pool[:-held])
