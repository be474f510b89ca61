"""The net: what it pools under lengths, and that padding and company change nothing."""

import pytest
import torch

from throughtime.models.pooling import POOLING_NAMES, LastPooling
from throughtime.tasks.classify.network import ClassDesign, ClassNet, turned
from throughtime.tasks.language import LanguageModel

IDS = torch.tensor([[2, 3, 4], [5, 1, 2], [3, 0, 6], [4, 0, 0]])
LENGTHS = torch.tensor([4, 2, 3])


@pytest.mark.parametrize("pooling", POOLING_NAMES)
@pytest.mark.parametrize("pretrained", [False, True])
def test_a_text_alone_has_the_scores_that_it_has_in_company(pooling: str, pretrained: bool) -> None:
    torch.manual_seed(0)
    net = ClassNet(ClassDesign(7, 3, hidden_size=5, embedding_size=4, pooling=pooling, pretrained=pretrained)).eval()
    together = net(IDS, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = net(IDS[:length, row : row + 1], LENGTHS[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], atol=1e-6, rtol=1e-5)
    assert torch.isfinite(net(torch.zeros((0, 2), dtype=torch.long), torch.tensor([0, 0]))).all()
    padded = IDS.masked_fill(IDS == 0, 5)
    torch.testing.assert_close(net(padded, LENGTHS), together)


def test_the_last_output_of_each_direction_is_its_own() -> None:
    hidden = torch.arange(24.0).view(3, 2, 4)
    found = LastPooling(True)(hidden, torch.tensor([3, 1]))
    assert found.tolist() == [[16.0, 17.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]
    assert LastPooling(False)(hidden, torch.tensor([2, 0])).tolist() == [[8.0, 9.0, 10.0, 11.0], [0.0] * 4]


def test_a_text_turned_keeps_its_first_step_and_its_padding() -> None:
    x = torch.arange(10.0).view(5, 2, 1)
    got = turned(x, torch.tensor([4, 2])).squeeze(2).T
    assert got.tolist() == [[0.0, 8.0, 6.0, 4.0, 2.0], [1.0, 5.0, 3.0, 7.0, 9.0]]


def test_a_pretrained_net_reads_as_the_language_model_did() -> None:
    text = "to be or not to be that is the question " * 6
    model = LanguageModel(unit="word", hidden_size=6, embedding_size=5, num_layers=2, epochs=1, bptt=8).fit([text] * 2)
    encoder, units = model.encoder_part()
    net = ClassNet(
        ClassDesign(
            len(units), 2, hidden_size=6, embedding_size=5, num_layers=2, bidirectional=False, pretrained=True,
            pooling="last",
        )
    ).eval()  # fmt: skip
    net.reader.start_from([encoder])
    ids = torch.from_numpy(units.encode("to be or")).unsqueeze(1)
    hidden, lengths = net.reader.run(net.reader.embed(ids), torch.tensor([3]))
    begins = torch.tensor([[True], [False], [False], [False]])
    want, _ = encoder.eval()(torch.cat((torch.zeros_like(ids[:1]), ids)), begins=begins)
    torch.testing.assert_close(hidden, want)
    assert lengths.tolist() == [4]
