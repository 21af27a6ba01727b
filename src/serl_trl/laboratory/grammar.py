"""The stories that the laboratory's word problems are told in: sentence templates, each with the sum it stands for.

A template is a sentence with slots, paired with an operation on a running total (see `word_problems.py`, which both
generates problems from these templates and solves problem texts by recognising them).

Slots: `{A}` the main person, `{B}` another person, `{obj}` what is counted, `{place}`, and the numbers `{n}` and `{m}`.
Operations: `n` and `n*m` open a story; `+n`, `-n`, `*n`, `/n` change the total; the same after `?` compares a second
person with the first, so that the total is now that of the second; `=` asks for the total and `sum` for both totals.
"""

from dataclasses import dataclass


NAMES = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Felix",
    "Grace",
    "Henry",
    "Iris",
    "Jack",
    "Kate",
    "Leo",
    "Maria",
    "Noah",
    "Olga",
    "Peter",
    "Queen",
    "Rosa",
    "Sam",
    "Tina",
    "Umar",
    "Vera",
    "Walt",
    "Yara",
    "Zane",
    "Alice",
    "Bruno",
    "Carla",
    "Diego",
    "Elena",
]

OBJECTS = {
    "collection": [
        "marbles",
        "stamps",
        "coins",
        "shells",
        "cards",
        "stickers",
        "books",
        "pencils",
        "buttons",
        "beads",
        "toys",
        "stones",
    ],
    "shop": [
        "lamps",
        "chairs",
        "shirts",
        "hats",
        "bottles",
        "candles",
        "clocks",
        "plates",
        "spoons",
        "cups",
        "ropes",
        "tents",
    ],
    "farm": ["goats", "hens", "sheep", "ducks", "cows", "horses", "rabbits", "geese", "pigs", "bees"],
    "kitchen": ["cookies", "muffins", "pies", "rolls", "cakes", "tarts", "pancakes", "waffles", "pretzels", "buns"],
    "garden": ["apples", "pears", "plums", "lemons", "carrots", "onions", "beans", "tulips", "roses", "melons"],
    "travel": ["people", "passengers", "tourists", "students", "workers", "guests"],
    "money": ["dollars", "euros", "pounds", "cents"],
    "tank": ["liters", "gallons", "buckets", "barrels"],
}

PLACES = ["Paris", "London", "Oslo", "Rome", "Lima", "Cairo", "Delhi", "Tokyo", "Madrid", "Vienna", "Boston", "Dublin"]

ASIDES = (
    "It is a cold morning in {place}.",
    "The sun is shining over {place}.",
    "Everybody is busy today.",
    "It has been raining all week long.",
    "The bells of {place} ring at noon.",
    "Nobody expected such a day.",
    "{B} is watching all of this.",
    "This story happened a long time ago.",
)


@dataclass(frozen=True)
class Template:
    """A sentence with slots and its operation, for example `("{B} gives {A} {n} more.", "+n")`."""

    text: str
    operation: str


@dataclass(frozen=True)
class Story:
    """One story shape: how it opens, what may happen in it, and how it asks."""

    objects: tuple[str, ...]
    openings: tuple[Template, ...]
    changes: tuple[Template, ...]
    questions: tuple[Template, ...]


def _templates(block: str) -> tuple[Template, ...]:
    lines = [line.strip().rsplit(" | ", 1) for line in block.strip().splitlines()]
    return tuple(Template(text, operation) for text, operation in lines)


STORIES = {
    "collection": Story(
        tuple(OBJECTS["collection"]),
        _templates("""
            {A} has {n} {obj}. | n
            {A} collects {obj} and owns {n} of them. | n
            In a drawer {A} keeps {n} {obj}. | n
            For a birthday {A} was given {n} {obj}. | n
            {A} has {n} bags with {m} {obj} in each bag. | n*m
            {A} fills {n} jars and puts {m} {obj} into every jar. | n*m
        """),
        _templates("""
            {B} gives {A} {n} more. | +n
            Then {A} buys {n} more at the market. | +n
            Under the bed {A} finds another {n}. | +n
            A letter from {place} brings {n} new ones. | +n
            {A} wins {n} in a game against {B}. | +n
            {A} gives {n} of them to {B}. | -n
            On the way home {A} loses {n}. | -n
            The little brother breaks {n}. | -n
            {A} sells {n} to a friend. | -n
            {B} borrows {n} and never returns them. | -n
            After a trip to {place} the collection is {n} times as large. | *n
            {A} divides them equally among {n} boxes and keeps only one box. | /n
        """),
        _templates("""
            How many {obj} does {A} have now? | =
            How many are in the collection at the end? | =
            Count what is left. | =
            What is the number of {obj} that belong to {A}? | =
        """),
    ),
    "shop": Story(
        tuple(OBJECTS["shop"]),
        _templates("""
            A shop in {place} has {n} {obj} for sale. | n
            The owner {A} counts {n} {obj} in the store room. | n
            {A} opens a stand with {n} {obj}. | n
            {n} shelves stand in the shop of {A}, with {m} {obj} on each shelf. | n*m
            A truck brings {n} crates of {m} {obj} to the shop. | n*m
        """),
        _templates("""
            A delivery from {place} adds {n}. | +n
            The factory sends {n} extra. | +n
            Customers bring back {n}. | +n
            {B} repairs {n} old ones and puts them on the table. | +n
            Before lunch {n} are sold. | -n
            A tourist buys {n} of them. | -n
            {B} drops {n} on the floor. | -n
            Thieves steal {n} during the night. | -n
            {n} turn out to be damaged and are thrown away. | -n
            A new order makes the stock {n} times as big. | *n
            The stock is split evenly over {n} shops, and we look at one shop. | /n
        """),
        _templates("""
            How many {obj} can the shop still sell? | =
            How many remain in the shop? | =
            Find the number of {obj} in stock. | =
            What number is on the list? | =
        """),
    ),
    "farm": Story(
        tuple(OBJECTS["farm"]),
        _templates("""
            A farmer near {place} keeps {n} {obj}. | n
            On the farm of {A} live {n} {obj}. | n
            {A} takes care of {n} {obj}. | n
            There are {n} barns with {m} {obj} in every barn. | n*m
            Behind the hill {n} fields hold {m} {obj} each. | n*m
        """),
        _templates("""
            In spring {n} are born. | +n
            A neighbour leaves {n} more there. | +n
            {B} comes along with another {n}. | +n
            The farmer buys {n} at a fair in {place}. | +n
            A storm scares away {n}. | -n
            {n} escape through a hole in the fence. | -n
            A fox takes {n}. | -n
            The zoo of {place} receives {n} as a present. | -n
            {n} get sick and go to the doctor. | -n
            Over the years the herd becomes {n} times as large. | *n
            {n} sons share the herd fairly, and the oldest takes his part. | /n
        """),
        _templates("""
            How many {obj} are on the farm in the evening? | =
            How large is the group in the end? | =
            How many of them need food tomorrow? | =
            Tell me how many {obj} there are. | =
        """),
    ),
    "kitchen": Story(
        tuple(OBJECTS["kitchen"]),
        _templates("""
            {A} bakes {n} {obj}. | n
            On the table of the kitchen are {n} {obj}. | n
            For the party {A} prepares {n} {obj}. | n
            {A} uses {n} trays and {m} {obj} fit on each tray. | n*m
            A recipe makes {m} {obj}, and {A} cooks it {n} times. | n*m
        """),
        _templates("""
            An hour later {n} more come out of the oven. | +n
            {B} brings {n} from home. | +n
            The baker adds {n} for free. | +n
            A cook from {place} contributes {n}. | +n
            The children eat {n}. | -n
            {n} burn and cannot be served. | -n
            The dog steals {n} from the plate. | -n
            {A} packs {n} for the trip to {place}. | -n
            {B} tastes {n} of them. | -n
            Because of many visitors {A} makes {n} times that amount. | *n
            They are put on {n} equal plates, and {B} gets one plate. | /n
        """),
        _templates("""
            How many {obj} are ready to be served? | =
            How many are left over? | =
            Work out how many {obj} remain. | =
            What number will be on the plate? | =
        """),
    ),
    "garden": Story(
        tuple(OBJECTS["garden"]),
        _templates("""
            {A} picks {n} {obj} in the garden. | n
            A basket contains {n} {obj}. | n
            {A} harvested {n} {obj} this summer. | n
            {n} rows were planted, and {m} {obj} grow in each row. | n*m
            {A} carries {n} baskets, every one holding {m} {obj}. | n*m
        """),
        _templates("""
            The next day {n} further ones are ripe. | +n
            Aunt {B} hands over {n}. | +n
            Behind the house grow {n} that nobody had seen. | +n
            Last week {n} were stored in the cellar, so these are added. | +n
            Birds peck at {n}, which are lost. | -n
            {n} are rotten. | -n
            {A} offers {n} to the teacher. | -n
            At the market of {place} {n} are exchanged for honey. | -n
            Rabbits nibble {n} of them at night. | -n
            With better soil the harvest grows {n} times as big. | *n
            The harvest is shared by {n} families in equal parts, one of them that of {B}. | /n
        """),
        _templates("""
            How many {obj} does the basket hold at last? | =
            How many good ones remain? | =
            Say how many {obj} can be taken home. | =
            What is the final number? | =
        """),
    ),
    "travel": Story(
        tuple(OBJECTS["travel"]),
        _templates("""
            A bus leaves {place} with {n} {obj}. | n
            The train to {place} carries {n} {obj}. | n
            A boat with {n} {obj} sails down the river. | n
            {n} vans set off, and {m} {obj} sit in each van. | n*m
            A plane has {n} rows filled with {m} {obj} apiece. | n*m
        """),
        _templates("""
            At the first stop {n} get on. | +n
            In {place} {n} climb aboard. | +n
            {n} late ones jump in before the doors close. | +n
            The captain welcomes {n} from another ship. | +n
            {n} step out at the bridge. | -n
            At the station of {place} {n} leave. | -n
            {n} decide to walk instead. | -n
            A second driver takes {n} of them along. | -n
            {n} are too tired and stay in a hotel. | -n
            During the holidays it carries {n} times this number. | *n
            The group is split into {n} equal teams, and one team goes on. | /n
        """),
        _templates("""
            How many are on board now? | =
            How many {obj} arrive in {place}? | =
            How many {obj} travel to the last stop? | =
            Calculate the number on the final part of the way. | =
        """),
    ),
    "money": Story(
        tuple(OBJECTS["money"]),
        _templates("""
            {A} has saved {n} {obj}. | n
            In the purse of {A} are {n} {obj}. | n
            {A} begins the week with {n} {obj}. | n
            {A} works for {n} hours and is paid {m} {obj} an hour. | n*m
            {n} tickets were sold by {A} at a price of {m} {obj}. | n*m
        """),
        _templates("""
            Grandmother sends {n}. | +n
            For cleaning the car {A} earns {n}. | +n
            {B} pays back a debt of {n}. | +n
            In the street of {place} {A} discovers {n}. | +n
            A book costs {n} and {A} buys it. | -n
            {A} spends {n} on lunch. | -n
            A ride to {place} is paid with {n}. | -n
            {A} lends {n} to cousin {B}. | -n
            A fine of {n} has to be paid. | -n
            A lucky bet multiplies the sum by {n}. | *n
            {A} and some friends divide it into {n} equal shares. | /n
        """),
        _templates("""
            How many {obj} does {A} hold in the end? | =
            How many {obj} are in the purse? | =
            How much money is it? | =
            Compute how much {A} can take to the bank. | =
        """),
    ),
    "tank": Story(
        tuple(OBJECTS["tank"]),
        _templates("""
            A tank contains {n} {obj} of water. | n
            The well in {place} gave {n} {obj} of water. | n
            {A} pours {n} {obj} of milk into a pot. | n
            {n} pipes run for a day, and each delivers {m} {obj}. | n*m
            {A} empties {n} cans of {m} {obj} into a pool. | n*m
        """),
        _templates("""
            Heavy rain raises it by {n}. | +n
            A pump adds {n} overnight. | +n
            {B} refills it with {n}. | +n
            A stream brings in {n} more. | +n
            {n} leak out through a crack. | -n
            The plants of {A} need {n}. | -n
            Thirsty animals drink {n}. | -n
            The heat of {place} dries up {n}. | -n
            {B} scoops out {n}. | -n
            A flood makes it {n} times as much. | *n
            It is filled into {n} equal bottles, one of which is for {B}. | /n
        """),
        _templates("""
            How many {obj} are in there now? | =
            How many {obj} can still be used? | =
            Determine the amount. | =
            What amount is that? | =
        """),
    ),
    "comparison": Story(
        tuple(OBJECTS["collection"]),
        _templates("""
            {A} has {n} {obj}. | n
            {A} collects {obj} and owns {n} of them. | n
            {A} came home from {place} with {n} {obj}. | n
            {A} has {n} bags with {m} {obj} in each bag. | n*m
        """),
        _templates("""
            Then {A} buys {n} more at the market. | +n
            A letter from {place} brings {n} new ones. | +n
            On the way home {A} loses {n}. | -n
            The little brother breaks {n}. | -n
            {B} has {n} more than {A}. | ?+n
            {B} has {n} fewer than {A}. | ?-n
            {B} has {n} times as many as {A}. | ?*n
            The number that {B} owns is {n} less than that of {A}. | ?-n
            Compared with {A}, {B} can show {n} extra. | ?+n
        """),
        _templates("""
            How many do both have together? | sum
            What is the total of {A} and {B}? | sum
            How many {obj} does {B} have? | =
            How many belong to {B}? | =
        """),
    ),
}
