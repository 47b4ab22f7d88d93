import pytest

from posegen.controlnet.avatar_words import avatar_words
from posegen.records import Avatar


@pytest.mark.parametrize(
    ("avatar", "words"),
    [
        (Avatar(), ""),
        (Avatar(gender="male"), "The person is a man."),
        (Avatar(age="young adult", gender="female"), "The person is a young woman."),
        (Avatar(age="adult"), "The person is an adult person."),
        (Avatar(skin_tone="dark"), "The person has dark skin."),
        (Avatar(hair_style="short", hair_color="red"), "The person has short red hair."),
        (Avatar(hair_style="bob", hair_color="auburn"), "The person has an auburn bob."),
        (Avatar(hair_color="grey"), "The person has grey hair."),
        (Avatar(hair_style="bald", hair_color="grey"), "The person has a bald head."),
        (Avatar(top="t-shirt"), "The person is wearing a t-shirt."),
        (Avatar(top_color="orange"), "The person is wearing an orange top."),
        (Avatar(bottom_color="navy"), "The person is wearing navy bottoms."),
        (Avatar(bottom="skirt", shoes="loafers"), "The person is wearing a skirt and loafers."),
        (Avatar(shoes="barefoot"), "The person is barefoot."),
        (Avatar(shoes="barefoot", shoes_color="red"), "The person is barefoot."),
        (Avatar(top="hoodie", shoes="barefoot"), "The person is wearing a hoodie, barefoot."),
        (Avatar(gender="male", top="hoodie"), "The person is a man, wearing a hoodie."),
        (Avatar(top="hoodie", top_color="#2f66b0"), "The person is wearing a blue hoodie."),
        (Avatar(top="hoodie", top_color="#FF0000"), "The person is wearing a red hoodie."),
        (Avatar(extra="a scar. "), "A scar."),
        (Avatar(gender="male", extra="laughs!"), "The person is a man. Laughs!"),
        (Avatar(extra=" "), ""),
    ],
)
def test_avatars_are_put_in_words(avatar, words):
    assert avatar_words(avatar) == words
