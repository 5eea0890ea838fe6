// AEAD and BLAKE2b against published vectors, the replay window against a slow model.
#include <set>
#include <string>

#include "aead.h"
#include "blake2b.h"
#include "harness.h"
#include "replay-window.h"
#include "session-keys.h"

namespace {

using namespace weft;
using weft::test::Random;

std::vector<uint8_t> hex(const std::string& text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

Aead::Nonce nonceFrom(const std::vector<uint8_t>& bytes) {
  Aead::Nonce nonce{};
  std::copy(bytes.begin(), bytes.end(), nonce.begin());
  return nonce;
}

void checkVector(Cipher cipher, const std::string& key, const std::string& nonce,
                 const std::string& aad, const std::string& plain, const std::string& sealed,
                 Aead::Provider provider = Aead::Provider::fastest) {
  auto sealing = Aead::make(cipher, Aead::Direction::seal, hex(key), provider);
  auto opening = Aead::make(cipher, Aead::Direction::open, hex(key), provider);
  CHECK(sealing && opening);
  const auto plainBytes = hex(plain);
  std::vector<uint8_t> out(plainBytes.size() + Aead::tagBytes);
  CHECK(sealing->seal(nonceFrom(hex(nonce)), hex(aad), plainBytes, out.data()));
  CHECK(out == hex(sealed));
  std::vector<uint8_t> back(plainBytes.size());
  CHECK(opening->open(nonceFrom(hex(nonce)), hex(aad), out, back.data()));
  CHECK(back == plainBytes);
  // In place, and again with the same context.
  CHECK(opening->open(nonceFrom(hex(nonce)), hex(aad), out, out.data()));
  CHECK(std::equal(plainBytes.begin(), plainBytes.end(), out.begin()));
}

Keys keysFrom(const std::vector<uint8_t>& material) {
  Keys keys;
  keys.session = 1;
  keys.receive = 7;
  keys.send = 7;
  keys.rejectAfterMs = 1000;
  keys.sealing = {Bytes(material).first(32), Bytes(material).subspan(32, 4)};
  keys.opening = keys.sealing;
  return keys;
}

}  // namespace

// RFC 8439 section 2.8.2.
TEST("aead: ChaCha20-Poly1305 vector with associated data") {
  checkVector(
      Cipher::chacha20poly1305, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
      "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
      "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a20"
      "4966204920"
      "636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572"
      "652c207375"
      "6e73637265656e20776f756c642062652069742e",
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fa"
      "fb69da9272"
      "8b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad6759455"
      "85808b4831"
      "d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");
}

// "The Galois/Counter Mode of Operation", test case 16.
TEST("aead: AES-256-GCM vector with associated data") {
  for (const auto provider : {Aead::Provider::fastest, Aead::Provider::library}) {
    checkVector(Cipher::aes256gcm,
                "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
                "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c9595"
                "6809532fcf0e24"
                "49a6b525b16aedf5aa0de657ba637b39",
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e4859"
                "0dbb3da7b08b10"
                "56828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
                provider);
  }
}

TEST("aead: a wrong tag, a short message and a wrong key length are refused") {
  const std::vector<uint8_t> key(32, 1);
  auto sealing = Aead::make(Cipher::aes256gcm, Aead::Direction::seal, key);
  auto opening = Aead::make(Cipher::aes256gcm, Aead::Direction::open, key);
  CHECK(sealing && opening);
  std::vector<uint8_t> sealed(5 + Aead::tagBytes);
  std::vector<uint8_t> out(64);
  CHECK(sealing->seal({}, {}, Bytes(key).first(5), sealed.data()));
  for (size_t bit = 0; bit < sealed.size() * 8; bit++) {
    auto forged = sealed;
    forged[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    CHECK(!opening->open({}, {}, forged, out.data()));
  }
  CHECK(opening->open({}, {}, sealed, out.data()));
  CHECK(!opening->open({}, {}, Bytes(sealed).first(15), out.data()));
  CHECK(!Aead::make(Cipher::aes256gcm, Aead::Direction::seal, Bytes(key).first(31)));
}

// The library is the reference: every length around the borders of blocks, vectors and chunks.
TEST("aead: the wide AES-GCM equals the library's on random input") {
  if (!VaesGcm::supported()) return;
  Random random(40);
  for (size_t round = 0; round < 6000; round++) {
    const size_t length = round < 1200 ? round : random.below(9300);
    const auto key = random.bytes(32);
    const auto nonce = nonceFrom(random.bytes(12));
    const auto aad = random.bytes(round % 3 == 0 ? 0 : random.below(600));
    const auto plain = random.bytes(length);
    auto library =
        Aead::make(Cipher::aes256gcm, Aead::Direction::seal, key, Aead::Provider::library);
    const VaesGcm wide(key.data());
    std::vector<uint8_t> expected(length + Aead::tagBytes), sealed(length + Aead::tagBytes);
    CHECK(library && library->seal(nonce, aad, plain, expected.data()));
    wide.seal(nonce, aad, plain, sealed.data());
    CHECK(sealed == expected);
    auto inPlace = plain;
    inPlace.resize(length + Aead::tagBytes);
    wide.seal(nonce, aad, Bytes(inPlace).first(length), inPlace.data());
    CHECK(inPlace == expected);
    CHECK(wide.open(nonce, aad, Bytes(sealed).first(length), &sealed[length], sealed.data()));
    CHECK(std::equal(plain.begin(), plain.end(), sealed.begin()));
    auto forged = expected;
    forged[random.below(forged.size())] ^= static_cast<uint8_t>(1 << random.below(8));
    CHECK(!wide.open(nonce, aad, Bytes(forged).first(length), &forged[length], forged.data()));
  }
}

// Made with Python's hashlib.blake2b(message, key=bytes(range(32)), digest_size=16).
TEST("blake2b: keyed 128-bit digests") {
  Mac1Key key;
  for (size_t i = 0; i < key.size(); i++) key[i] = static_cast<uint8_t>(i);
  const struct {
    size_t length;
    const char* digest;
  } vectors[] = {
      {0, "3daf97bce7888fd59773c66bf647459c"},
      {1, "cb0f7736a53974236661585b8842dd8c"},
      {64, "d70096919189ec3b386b4de2e4cf86d4"},
      {127, "1bd91774d74d27c31ebf3b9089a29219"},
      {128, "45d43af02414a146c8803c3f7da3554d"},
      {129, "aab5517a7ade99ce990a81aa3d3ea27d"},
      {255, "89cde4d1b8ea2dd5325db76af38ccb90"},
      {256, "c7eca2c1ae35a1e0f627b8ebbe105c94"},
      {1168, "7294f04cb52a3b94624ba2547c6e46e2"},
      {1500, "4958d6e1ae521109780750cc0d785243"}};
  for (const auto& vector : vectors) {
    std::vector<uint8_t> message(vector.length);
    for (size_t i = 0; i < message.size(); i++) message[i] = static_cast<uint8_t>(i);
    CHECK(sameMac(blake2bMac(key, message), hex(vector.digest).data()));
  }
}

TEST("replay window: equals a slow model over random sequences") {
  Random random(1);
  for (int round = 0; round < 200; round++) {
    ReplayWindow window;
    std::set<uint64_t> seen;
    uint64_t newest = 0;
    bool any = false;
    const uint64_t spread = 1ULL << random.below(18);
    for (int step = 0; step < 2000; step++) {
      const uint64_t back = random.below(2 * spread);
      const uint64_t base = newest + random.below(spread);
      const uint64_t counter = base > back ? base - back : 0;
      const bool tooOld = any && counter <= newest && newest - counter >= limits::replayWindow;
      const bool expected = !tooOld && !seen.contains(counter);
      CHECK_EQ(window.accepts(counter), expected);
      if (!expected || random.below(4) == 0) continue;  // now and then the tag is wrong
      CHECK_EQ(window.mark(counter), !any || counter > newest);
      seen.insert(counter);
      newest = any ? std::max(newest, counter) : counter;
      any = true;
    }
  }
}

TEST("keys: a forged datagram with a high counter does not move the window") {
  const auto material = Random(2).bytes(36);
  auto sealing = SealingKeys::make(0, keysFrom(material), 1);
  auto opening = OpeningKeys::make(0, keysFrom(material), 1);
  CHECK(sealing && opening);
  std::vector<uint8_t> datagram(wire::overheadBytes + 10);
  CHECK(sealing->seal(0, datagram.data(), 14) == DropReason::none);
  auto forged = datagram;
  storeLe<uint64_t>(&forged[8], 1ULL << 40);
  wire::DataHeader header;
  CHECK(wire::parseDataHeader(forged, header) == DropReason::none);
  CHECK(opening->open(0, header, forged).reason == DropReason::badTag);
  CHECK(wire::parseDataHeader(datagram, header) == DropReason::none);
  auto copy = datagram;
  CHECK(opening->open(0, header, datagram).reason == DropReason::none);
  CHECK(opening->open(0, header, copy).reason == DropReason::replayed);
}

TEST("keys: expiry, rekey announced once, counters that never wrap") {
  const auto material = Random(3).bytes(36);
  std::vector<uint8_t> datagram(wire::overheadBytes);
  auto keys = SealingKeys::make(0, keysFrom(material), 1, limits::rekeyAfterMessages - 1);
  CHECK(keys && !keys->takeRekeyDue());
  CHECK(keys->seal(999, datagram.data(), 4) == DropReason::none);
  CHECK(keys->takeRekeyDue());
  CHECK(!keys->takeRekeyDue());
  CHECK(keys->seal(1000, datagram.data(), 4) == DropReason::expiredKeys);
  auto old = SealingKeys::make(0, keysFrom(material), 1, limits::rejectAfterMessages - 1);
  CHECK(old->seal(0, datagram.data(), 4) == DropReason::none);
  CHECK(old->seal(0, datagram.data(), 4) == DropReason::counterLimit);
  auto opening = OpeningKeys::make(0, keysFrom(material), 1);
  wire::DataHeader header{0, 7, limits::rejectAfterMessages};
  CHECK(opening->open(0, header, datagram).reason == DropReason::counterLimit);
  CHECK(opening->open(1000, header, datagram).reason == DropReason::expiredKeys);
}
