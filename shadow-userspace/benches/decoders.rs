//! What the HTTP/1 decoders cost, in time per message: `cargo bench -p shadow-userspace --bench decoders`.

use std::hint::black_box;

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use shadow_userspace::http::{
    DecoderLimits, RequestDecoder, RequestEvent, ResponseDecoder, ResponseEvent, ResponseTo,
};

/// 400 bytes, 10 headers: a browser's GET without its cookies.
const GET_400: &str = "GET /api/v1/pets/4711?fields=name,tag,owner&expand=1 HTTP/1.1\r\n\
    Host: petstore.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: no-cache\r\n\
    X-Request-Id: 7f3c2d1e9b8a4c\r\n\
    X-Forwarded-For: 192.0.2.17\r\n\
    DNT: 1\r\n\r\n";

/// 150 bytes, 5 headers: a health check or a simple client.
const GET_150: &str = "GET /health/ready HTTP/1.1\r\n\
    Host: petstore.example.com:8080\r\n\
    User-Agent: curl/8.14.1\r\n\
    Accept: */*\r\n\
    X-Id: 7f3c2d1e9b8a4c05\r\n\
    X-Request-Source: lb-01\r\n\r\n";

/// 200 bytes, 7 headers.
const RESPONSE_200: &str = "HTTP/1.1 200 OK\r\n\
    Server: nginx/1.22.1\r\n\
    Date: Tue, 24 Nov 2026 10:00:00 GMT\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 0\r\n\
    Connection: keep-alive\r\n\
    ETag: \"5f3c2d1e-264\"\r\n\
    X-Request-Id: 77a1b2c3d\r\n\r\n";

/// 500 bytes, 13 headers: what a gateway adds to it.
const RESPONSE_500: &str = "HTTP/1.1 404 Not Found\r\n\
    Server: envoy\r\n\
    Date: Tue, 24 Nov 2026 10:00:00 GMT\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 0\r\n\
    Vary: Accept-Encoding, Origin\r\n\
    Cache-Control: no-cache, no-store, max-age=0\r\n\
    Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: DENY\r\n\
    Referrer-Policy: strict-origin-when-cross-origin\r\n\
    X-Envoy-Upstream-Service-Time: 12\r\n\
    Set-Cookie: session=7f3c2d1e9b8a4c05; Path=/; HttpOnly\r\n\
    X-Request-Id: 7f3c2d1e-9b8a-4c0\r\n\r\n";

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Decodes `bytes`, one request that comes in segments of this size, over and over.
fn request(group: &mut Group<'_>, name: &str, bytes: &[u8], segment: usize) {
    let mut decoder = RequestDecoder::new(DecoderLimits::default());
    group.throughput(Throughput::Bytes(bytes.len() as u64)).bench_function(name, |bencher| {
        bencher.iter(|| {
            for part in black_box(bytes).chunks(segment) {
                decoder.push(part, |event| match event {
                    RequestEvent::Failed(_) | RequestEvent::NotHttp1(_) => panic!("{event:?}"),
                    event => drop(black_box(event)),
                });
            }
        });
        assert!(decoder.is_idle());
    });
}

/// The same for a response.
fn response(group: &mut Group<'_>, name: &str, bytes: &[u8], segment: usize) {
    let mut decoder = ResponseDecoder::new(DecoderLimits::default());
    group.throughput(Throughput::Bytes(bytes.len() as u64)).bench_function(name, |bencher| {
        bencher.iter(|| {
            for mut part in black_box(bytes).chunks(segment) {
                decoder.push(&mut part, ResponseTo::Other, |event| match event {
                    ResponseEvent::Failed(_) => panic!("{event:?}"),
                    event => drop(black_box(event)),
                });
            }
        });
        assert!(decoder.is_idle());
    });
}

/// 1 MiB in chunks of this size.
fn chunked(first_line: &str, size: usize) -> Vec<u8> {
    let chunk = [format!("{size:x}\r\n").as_bytes(), &vec![b'x'; size], b"\r\n"].concat();
    let head = format!("{first_line}\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    [head.as_bytes(), &chunk.repeat((1 << 20) / size), b"0\r\n\r\n"].concat()
}

fn with_length(first_line: &str) -> Vec<u8> {
    let head = format!("{first_line}\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1 << 20);
    [head.as_bytes(), &vec![b'x'; 1 << 20]].concat()
}

fn decoders(criterion: &mut Criterion) {
    /// A segment after GRO.
    const SEGMENT: usize = 61 << 10;
    let mut group = criterion.benchmark_group("request");
    request(&mut group, "GET of 400 bytes", GET_400.as_bytes(), SEGMENT);
    request(&mut group, "GET of 150 bytes", GET_150.as_bytes(), SEGMENT);
    request(&mut group, "GET of 400 bytes in two segments", GET_400.as_bytes(), 200);
    request(&mut group, "1 MiB", &with_length("POST / HTTP/1.1"), SEGMENT);
    request(&mut group, "1 MiB in chunks of 4 KiB", &chunked("POST / HTTP/1.1", 4 << 10), SEGMENT);
    request(&mut group, "1 MiB in chunks of 64 bytes", &chunked("POST / HTTP/1.1", 64), SEGMENT);
    group.finish();
    let mut group = criterion.benchmark_group("response");
    response(&mut group, "head of 200 bytes", RESPONSE_200.as_bytes(), SEGMENT);
    response(&mut group, "head of 500 bytes", RESPONSE_500.as_bytes(), SEGMENT);
    response(&mut group, "1 MiB", &with_length("HTTP/1.1 200 OK"), SEGMENT);
    response(&mut group, "1 MiB in chunks of 4 KiB", &chunked("HTTP/1.1 200 OK", 4 << 10), SEGMENT);
    group.finish();
}

criterion_group!(benches, decoders);
criterion_main!(benches);
